import ChannelLayer
import Synchronization

/// Who listens to a group in this process: every list of followers, on every event loop, sorted so that equal rules and
/// wires stand together. Read once per arriving message, from any thread; written when a list begins or ends.
final class Audiences: Sendable {
    private let lists = Mutex<[GroupName: ContiguousArray<FollowerList>]>([:])
    /// Pairs of a browser and a group it follows; kept by the shards.
    let subscriptions = Atomic<Int>(0)

    /// The lists of `group`; `nil` when nobody here follows it.
    func lists(of group: GroupName) -> ContiguousArray<FollowerList>? {
        self.lists.withLock { $0[group] }
    }

    func add(_ list: FollowerList) {
        self.lists.withLock { lists in
            var audience = lists[list.group] ?? []
            let place = audience.firstIndex { list.form.isBefore($0.form) } ?? audience.endIndex
            audience.insert(list, at: place)
            lists[list.group] = audience
        }
    }

    func remove(_ list: FollowerList) {
        self.lists.withLock { lists in
            guard var audience = lists[list.group] else { return }
            audience.removeAll { $0 === list }
            lists[list.group] = audience.isEmpty ? nil : audience
        }
    }

    var groupNames: [GroupName] { self.lists.withLock { Array($0.keys) } }

    /// Groups with at least one follower.
    var groupCount: Int { self.lists.withLock { $0.count } }
}
