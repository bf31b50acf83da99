import ChannelLayer
import Synchronization

/// Who listens to a group in this process: every list of followers, on every event loop, sorted so that equal rules and
/// wires stand together. Read once per arriving message, from any thread; written when a list begins or ends.
final class Audience: Sendable {
    struct State {
        var lists: ContiguousArray<FollowerList> = []
        /// Where somebody's position is watched.
        var continuity: StreamContinuity?
        /// Commands come in the group's messages.
        var hearsCommands = false
        /// There while somebody wants patches.
        var base: DeltaBase?
        /// Stands for the channel's name with those who agreed to it; 0 while nobody has.
        var number: Int64 = 0
    }

    let group: GroupName
    /// Held while publications of a stream are handed on, so that their order is the same for all.
    let state = Mutex(State())

    init(_ group: GroupName) { self.group = group }

    /// From where on everything is handed on; `nil` when that is not known.
    var position: StreamPosition? { self.state.withLock { $0.continuity?.position } }
}

/// The audiences of all groups.
final class Audiences: Sendable {
    private struct State {
        var all: [GroupName: Audience] = [:]
        /// Those whose continuity is watched.
        var watched: [GroupName: Audience] = [:]
        var lastNumber: Int64 = 0
        /// That stood for channels in the gateway before.
        var keptNumbers: [GroupName: Int64] = [:]
    }

    private let state = Mutex(State())
    /// Pairs of a browser and a group it follows; kept by the shards.
    let subscriptions = Atomic<Int>(0)

    /// `nil` when nobody here follows the group.
    subscript(group: GroupName) -> Audience? { self.state.withLock { $0.all[group] } }

    func add(_ list: FollowerList) {
        self.state.withLock { state in
            let audience = state.all[list.group] ?? Audience(list.group)
            state.all[list.group] = audience
            // Never one that was another channel's: somebody may still know it by that.
            let number = state.keptNumbers[list.group] ?? state.lastNumber &+ 1
            let isTaken = audience.state.withLock { state in
                let place = state.lists.firstIndex { list.form.isBefore($0.form) } ?? state.lists.endIndex
                state.lists.insert(list, at: place)
                if list.form.client.contains(.delta), state.base == nil { state.base = DeltaBase() }
                guard list.form.client.contains(.compact), state.number == 0 else { return false }
                state.number = number
                return true
            }
            guard isTaken else { return }
            state.lastNumber = max(state.lastNumber, number)
            state.keptNumbers[list.group] = nil
        }
    }

    func remove(_ list: FollowerList) {
        self.state.withLock { state in
            guard let audience = state.all[list.group] else { return }
            let isEmpty = audience.state.withLock {
                $0.lists.removeAll { $0 === list }
                if !$0.lists.contains(where: { $0.form.client.contains(.delta) }) { $0.base = nil }
                return $0.lists.isEmpty
            }
            guard isEmpty else { return }
            state.all[list.group] = nil
            state.watched[list.group] = nil
        }
    }

    /// Groups that a list of followers is as wanted of.
    func names(_ isWanted: (FollowerList) -> Bool) -> [GroupName] {
        self.state.withLock { state in
            state.all.values.filter { $0.state.withLock { $0.lists.contains(where: isWanted) } }.map(\.group)
        }
    }

    /// No other channel gets these numbers.
    func keep(numbers: [GroupName: Int64]) {
        self.state.withLock { state in
            state.keptNumbers = numbers
            state.lastNumber = max(state.lastNumber, numbers.values.max() ?? 0)
        }
    }

    /// From now on the group's stream is watched.
    ///
    /// - Parameter position: the newest publication that all who follow it have; `nil` when that is to be found out.
    func watch(_ group: GroupName, from position: StreamPosition? = nil) {
        self.state.withLock { state in
            guard let audience = state.all[group] else { return }
            state.watched[group] = audience
            audience.state.withLock {
                if let position {
                    $0.continuity = StreamContinuity(from: position)
                } else if $0.continuity == nil {
                    $0.continuity = StreamContinuity()
                }
            }
        }
    }

    /// The watched ones that `isDue` says.
    func watched(_ isDue: (GroupName) -> Bool) -> [Audience] {
        self.state.withLock { state in state.watched.values.filter { isDue($0.group) } }
    }

    /// Groups with at least one follower.
    var groupCount: Int { self.state.withLock { $0.all.count } }
}
