import NIOCore

/// The one time limit that runs on a connection.
struct ConnectionTimer {
    enum Kind { case idle, head, body, write, linger }

    private var running: (kind: Kind, task: Scheduled<Void>)?

    /// Ends the present limit and starts another.
    mutating func set(
        _ kind: Kind, in time: TimeAmount, on loop: any EventLoop, expired: @escaping (Kind) -> Void
    ) {
        self.cancel()
        let task = loop.assumeIsolated().scheduleTask(in: time) { expired(kind) }
        self.running = (kind, task)
    }

    /// Starts a limit; one of the same kind goes on as it is.
    mutating func setUnlessRunning(
        _ kind: Kind, in time: TimeAmount, on loop: any EventLoop, expired: @escaping (Kind) -> Void
    ) {
        if self.running?.kind == kind { return }
        self.set(kind, in: time, on: loop, expired: expired)
    }

    mutating func cancel() {
        self.running?.task.cancel()
        self.running = nil
    }
}
