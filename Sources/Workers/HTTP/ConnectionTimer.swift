import NIOCore

/// The one time limit that runs on a connection. A value: its shard's `LoopWatch` looks at it, so that starting one is a
/// store and not a scheduled task.
struct ConnectionTimer {
    enum Kind { case idle, head, body, write, linger }

    private(set) var kind: Kind?
    private(set) var deadline = NIODeadline.distantFuture

    /// Ends the present limit and starts another.
    mutating func set(_ kind: Kind, until deadline: NIODeadline) {
        self.kind = kind
        self.deadline = deadline
    }

    mutating func cancel() {
        self.kind = nil
        self.deadline = .distantFuture
    }
}
