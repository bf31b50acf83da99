import NIOCore

/// Answers that still count. Bounded: when it is full, what ends first has to go.
struct AnswerCache: Sendable {
    private struct Entry {
        var answer: ProxyAnswer
        var end: NIODeadline
    }

    private let limit: Int
    private var entries: [ProxyQuestion: Entry] = [:]

    init(limit: Int) { self.limit = limit }

    var count: Int { self.entries.count }

    mutating func answer(to question: ProxyQuestion, now: NIODeadline) -> ProxyAnswer? {
        guard let entry = self.entries[question] else { return nil }
        guard entry.end > now else {
            self.entries[question] = nil
            return nil
        }
        return entry.answer
    }

    mutating func keep(_ answer: ProxyAnswer, to question: ProxyQuestion, seconds: Int, now: NIODeadline) {
        guard self.limit > 0, seconds > 0, question.event.isPure else { return }
        if case .failed = answer { return }
        if self.entries.count >= self.limit { self.makeRoom(now) }
        self.entries[question] = Entry(answer: answer, end: now + .seconds(Int64(min(seconds, ProxyFreshness.limit))))
    }

    /// What has ended goes, and of the rest so much that it does not have to be done again at once.
    private mutating func makeRoom(_ now: NIODeadline) {
        self.entries = self.entries.filter { $0.value.end > now }
        let excess = self.entries.count - self.limit * 3 / 4
        guard excess > 0 else { return }
        for (question, _) in self.entries.sorted(by: { $0.value.end < $1.value.end }).prefix(excess) {
            self.entries[question] = nil
        }
    }
}
