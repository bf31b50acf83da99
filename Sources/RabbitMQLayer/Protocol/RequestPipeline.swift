import NIOCore

/// What was asked on one AMQP channel and has no answer yet. Answers come in the order of the questions; a refusal closes
/// the AMQP channel, and what was asked after the refused thing is asked again on a new one.
struct RequestPipeline<Request> {
    private enum State { case closed, opening, open }

    private var state = State.closed
    private var sent = CircularBuffer<Request>()
    private var waiting = CircularBuffer<Request>()
    private let limit: Int

    /// - Parameter limit: questions without an answer at most, so that neither side's buffers fill while both write.
    init(limit: Int = 256) { self.limit = limit }

    /// Whether everything is answered.
    var isIdle: Bool { self.sent.isEmpty && self.waiting.isEmpty }

    mutating func ask(_ request: Request) { self.waiting.append(request) }

    enum Step { case open, request(Request) }

    /// What to say next; `nil` when answers must come first.
    mutating func next() -> Step? {
        switch self.state {
        case .closed:
            guard !self.waiting.isEmpty else { return nil }
            self.state = .opening
            return .open
        case .opening: return nil
        case .open:
            guard self.sent.count < self.limit, let request = self.waiting.popFirst() else { return nil }
            self.sent.append(request)
            return .request(request)
        }
    }

    /// An answer came.
    ///
    /// - Returns: what it answers; `nil` when it is the AMQP channel itself that is open now.
    mutating func replied() -> Request? {
        if case .opening = self.state {
            self.state = .open
            return nil
        }
        return self.sent.popFirst()
    }

    /// The broker closed the AMQP channel.
    ///
    /// - Returns: what it refuses; `nil` when nothing was asked.
    mutating func refused() -> Request? {
        self.state = .closed
        let cause = self.sent.popFirst()
        for request in self.sent.reversed() { self.waiting.prepend(request) }
        self.sent.removeAll()
        return cause
    }
}
