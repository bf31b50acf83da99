/// What every layer is held to; named as in Django's `CHANNEL_LAYERS`.
public struct LayerConfiguration: Sendable {
    /// Messages one channel may hold.
    public var capacity = 100
    /// Capacities of channels whose name matches a pattern; the first match counts.
    public var channelCapacity: [(pattern: CapacityPattern, capacity: Int)] = []
    /// How long an unread message lives.
    public var expiry: Duration = .seconds(60)
    /// How long a membership lives after the last `groupAdd`.
    public var groupExpiry: Duration = .seconds(86_400)

    public init() {}

    /// Messages that `channel` may hold.
    public func capacity(of channel: ChannelName) -> Int {
        self.channelCapacity.first { $0.pattern.matches(channel.text) }?.capacity ?? self.capacity
    }
}

/// A shell glob over a whole channel name, case sensitive: `*`, `?`, `[ab]`, `[a-z]`, `[!ab]`.
public struct CapacityPattern: Sendable, Hashable {
    private enum Step: Sendable, Hashable {
        case character(Character)
        case any
        case anything
        case oneOf([ClosedRange<Character>], isNegated: Bool)
    }

    private let steps: [Step]

    public init(_ pattern: String) {
        var steps: [Step] = []
        var rest = Array(pattern)[...]
        while let character = rest.popFirst() {
            switch character {
            case "*": if steps.last != .anything { steps.append(.anything) }
            case "?": steps.append(.any)
            case "[": steps.append(Self.set(&rest) ?? .character("["))
            default: steps.append(.character(character))
            }
        }
        self.steps = steps
    }

    /// The inside of brackets; `nil`, with nothing taken, when they do not close: then `[` is an ordinary character.
    private static func set(_ rest: inout ArraySlice<Character>) -> Step? {
        var inside = rest
        let isNegated = inside.first == "!"
        if isNegated { inside.removeFirst() }
        var members: [Character] = []
        // A bracket that comes first stands for itself.
        while let character = inside.popFirst() {
            if character == "]", !members.isEmpty {
                rest = inside
                return .oneOf(Self.ranges(members), isNegated: isNegated)
            }
            members.append(character)
        }
        return nil
    }

    private static func ranges(_ members: [Character]) -> [ClosedRange<Character>] {
        var ranges: [ClosedRange<Character>] = []
        var index = 0
        while index < members.count {
            if index + 2 < members.count, members[index + 1] == "-" {
                if members[index] <= members[index + 2] { ranges.append(members[index]...members[index + 2]) }
                index += 3
            } else {
                ranges.append(members[index]...members[index])
                index += 1
            }
        }
        return ranges
    }

    /// - Complexity: O(name × pattern) at the worst: on a mismatch only the last `*` is tried again.
    public func matches(_ name: String) -> Bool {
        let name = Array(name)
        var at = 0
        var step = 0
        var star: (step: Int, at: Int)?
        while at < name.count {
            if step < self.steps.count, self.steps[step] == .anything {
                star = (step, at)
                step += 1
            } else if step < self.steps.count, Self.accepts(self.steps[step], name[at]) {
                step += 1
                at += 1
            } else if let last = star {
                star = (last.step, last.at + 1)
                step = last.step + 1
                at = last.at + 1
            } else {
                return false
            }
        }
        return self.steps[step...].allSatisfy { $0 == .anything }
    }

    private static func accepts(_ step: Step, _ character: Character) -> Bool {
        switch step {
        case .character(let wanted): wanted == character
        case .any, .anything: true
        case .oneOf(let ranges, let isNegated): ranges.contains { $0.contains(character) } != isNegated
        }
    }
}
