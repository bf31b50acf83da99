/// A shell glob over a whole channel name, case sensitive, as Python's `fnmatch.fnmatchcase` has it: `*` any run of
/// characters, `?` one, `[ab]`, `[a-z]` one of a set, `[!ab]` one that is not in it. A bracket that does not close stands
/// for itself. Every text is a pattern.
public struct CapacityPattern: Sendable, Hashable {
    private enum Step: Sendable, Hashable {
        case scalar(Unicode.Scalar)
        case any
        case anything
        case oneOf([ClosedRange<Unicode.Scalar>], isNegated: Bool)
    }

    private let steps: [Step]

    public init(_ pattern: String) {
        var steps: [Step] = []
        var rest = Array(pattern.unicodeScalars)[...]
        while let scalar = rest.popFirst() {
            switch scalar {
            case "*": if steps.last != .anything { steps.append(.anything) }
            case "?": steps.append(.any)
            case "[": steps.append(Self.set(&rest) ?? .scalar("["))
            default: steps.append(.scalar(scalar))
            }
        }
        self.steps = steps
    }

    /// The inside of brackets; `nil`, with nothing taken, when they do not close.
    private static func set(_ rest: inout ArraySlice<Unicode.Scalar>) -> Step? {
        var inside = rest
        let isNegated = inside.first == "!"
        if isNegated { inside.removeFirst() }
        var members: [Unicode.Scalar] = []
        // A bracket that comes first stands for itself.
        while let scalar = inside.popFirst() {
            if scalar == "]", !members.isEmpty {
                rest = inside
                return .oneOf(Self.ranges(members), isNegated: isNegated)
            }
            members.append(scalar)
        }
        return nil
    }

    /// A range whose ends are the wrong way round is left out.
    private static func ranges(_ members: [Unicode.Scalar]) -> [ClosedRange<Unicode.Scalar>] {
        var ranges: [ClosedRange<Unicode.Scalar>] = []
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

    /// - Complexity: one pass over the name for a pattern with one `*`; O(name × pattern) at the worst, because on a
    ///   mismatch only the last `*` is tried again. Nothing is allocated.
    public func matches(_ name: String) -> Bool {
        let name = name.unicodeScalars
        var place = name.startIndex
        var step = 0
        var star: (step: Int, place: String.Index)?
        while place < name.endIndex {
            if step < self.steps.count, self.steps[step] == .anything {
                star = (step, place)
                step += 1
            } else if step < self.steps.count, Self.accepts(self.steps[step], name[place]) {
                step += 1
                place = name.index(after: place)
            } else if let last = star {
                place = name.index(after: last.place)
                star = (last.step, place)
                step = last.step + 1
            } else {
                return false
            }
        }
        return self.steps[step...].allSatisfy { $0 == .anything }
    }

    private static func accepts(_ step: Step, _ scalar: Unicode.Scalar) -> Bool {
        switch step {
        case .scalar(let wanted): wanted == scalar
        case .any, .anything: true
        case .oneOf(let ranges, let isNegated): ranges.contains { $0.contains(scalar) } != isNegated
        }
    }
}
