/// What happens at this gateway, until it stands in the stream.
///
/// What was not written is written again as it was, under its serial number: it may stand there although nobody said so, and
/// whoever reads it twice has to know. Bounded: when the layer takes nothing for long, what was noted is forgotten, and when
/// it takes something again it is told what there is. What came and went meanwhile is not told, and counted.
struct LifecycleNotes: Equatable, Sendable {
    typealias Content = LifecycleEntry.Content

    /// Facts of one entry.
    static let entryLimit = 1_000

    private let node: String
    private let limit: Int
    private(set) var state = LifecycleState()
    /// Nothing was there at first.
    private var waiting: [Content] = [.state(LifecycleState())]
    /// Was handed out and came back. Comes before those that wait.
    private var again: LifecycleEntry?
    /// Facts of both.
    private var count = 0
    /// The next entry says all there is, and what happens until then is in it.
    private var isForgetting = false
    private(set) var forgotten = 0
    private var serial: UInt64 = 0
    private var isEnding = false
    private var hasEnded = false

    /// - Parameter limit: facts that may wait.
    init(node: String, limit: Int) {
        self.node = node
        self.limit = limit
    }

    // MARK: What happens

    mutating func note(_ fact: LifecycleFact) {
        guard !self.hasEnded, self.state.apply(fact) else { return }
        self.count += 1
        guard !self.isForgetting, self.count <= self.limit else { return self.forget() }
        if case .facts(var facts)? = self.waiting.last, facts.count < Self.entryLimit {
            // Nobody else holds it while it grows.
            self.waiting.removeLast()
            facts.append(fact)
            self.waiting.append(.facts(facts))
        } else {
            self.waiting.append(.facts([fact]))
        }
    }

    private mutating func forget() {
        self.isForgetting = true
        self.forgotten += self.count
        (self.count, self.waiting, self.again) = (0, [], nil)
    }

    /// The clerk does not know this gateway, or not all of it. What waits is told before, since it happened before.
    mutating func stateAgain() {
        guard !self.isForgetting, !self.isEnding else { return }
        guard self.again?.content.isState != true, !self.waiting.contains(where: \.isState) else { return }
        self.waiting.append(.state(self.state))
    }

    /// The last entry is to be that this gateway has gone.
    mutating func end() { self.isEnding = true }

    // MARK: Writing

    /// All that is to be written was handed out.
    var isDone: Bool {
        !self.isForgetting && self.again == nil && self.waiting.isEmpty && self.isEnding == self.hasEnded
    }

    /// What is to be written now; `nil` when all is. It has to come back with `failed` when it was not, and before the next.
    mutating func next(at time: Int64) -> LifecycleEntry? {
        if let again = self.again {
            self.again = nil
            self.count -= again.content.count
            return again
        }
        guard let content = self.take() else { return nil }
        self.serial += 1
        return LifecycleEntry(node: self.node, time: time, content: content, serial: self.serial)
    }

    private mutating func take() -> Content? {
        if self.isForgetting {
            self.isForgetting = false
            return .state(self.state)
        }
        if let first = self.waiting.first {
            self.waiting.removeFirst()
            self.count -= first.count
            return first
        }
        guard self.isEnding, !self.hasEnded else { return nil }
        self.hasEnded = true
        return .gone
    }

    /// An entry was not written, or nobody knows.
    mutating func failed(_ entry: LifecycleEntry) {
        self.count += entry.content.count
        if self.isForgetting { self.forget() } else { self.again = entry }
    }
}
