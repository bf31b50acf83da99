/// Notices that wait to be sent, in order.
///
/// While the layer takes them each one is kept. When it is away, only the newest of each process is: what a page wants to
/// know then is how things are, not how they went, and the backlog stays as small as the host has processes.
package struct NoticeBacklog {
    /// More than this wait only when the layer is slow; then they are folded as well.
    private static let limit = 1_024

    package private(set) var waiting: [Notice] = []
    /// Whether the last attempt to send failed.
    package private(set) var isAway = false
    /// Notices that a newer one of the same process made worthless before they were sent.
    package private(set) var folded = 0

    package init() {}

    package mutating func add(_ notice: Notice) {
        self.waiting.append(notice)
        if self.isAway || self.waiting.count > Self.limit { self.fold() }
    }

    /// The next one to send. It comes back with `failed`, or is gone with `sent`.
    package mutating func take() -> Notice? {
        self.waiting.isEmpty ? nil : self.waiting.removeFirst()
    }

    package mutating func sent() { self.isAway = false }

    package mutating func failed(_ notice: Notice) {
        self.isAway = true
        self.waiting.insert(notice, at: 0)
        self.fold()
    }

    /// Keeps the newest of each subject, at its own place.
    private mutating func fold() {
        var seen: Set<Notice.Subject> = []
        let newest = self.waiting.reversed().filter { seen.insert($0.subject).inserted }
        self.folded += self.waiting.count - newest.count
        self.waiting = newest.reversed()
    }
}
