/// What happens at this gateway, until it stands in the stream.
///
/// Bounded: when the layer takes nothing for long, what was noted is forgotten, and when it takes something again it is told
/// what there is. What came and went meanwhile is not told, and counted.
struct LifecycleNotes: Equatable, Sendable {
    /// Facts of one entry.
    static let entryLimit = 1_000

    private(set) var state = LifecycleState()
    private var facts: [LifecycleFact] = []
    /// The next entry says all there is.
    private var owesState = true
    private let limit: Int
    private(set) var forgotten = 0

    /// - Parameter limit: facts that may wait.
    init(limit: Int) { self.limit = limit }

    mutating func note(_ fact: LifecycleFact) {
        guard self.state.apply(fact), !self.owesState else { return }
        self.facts.append(fact)
        guard self.facts.count > self.limit else { return }
        self.forgotten += self.facts.count
        self.stateAgain()
    }

    /// The clerk does not know this gateway, or not all of it.
    mutating func stateAgain() {
        self.owesState = true
        self.facts = []
    }

    /// What is to be written now; `nil` when all is. It has to come back with `failed` when it was not.
    mutating func next() -> LifecycleEntry.Content? {
        if self.owesState {
            self.owesState = false
            return .state(self.state)
        }
        guard !self.facts.isEmpty else { return nil }
        let part = Array(self.facts.prefix(Self.entryLimit))
        self.facts.removeFirst(part.count)
        return .facts(part)
    }

    /// What was to be written was not, or nobody knows.
    mutating func failed(_ content: LifecycleEntry.Content) {
        switch content {
        case .facts(let facts) where !self.owesState: self.facts.insert(contentsOf: facts, at: 0)
        case .state: self.stateAgain()
        default: break
        }
    }
}
