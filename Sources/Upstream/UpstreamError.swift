/// Why a request got no answer, or not all of it.
package struct UpstreamError: Error, Equatable, CustomStringConvertible, Sendable {
    package enum Code: String, Sendable {
        /// No upstream accepted a connection; nothing was sent.
        case unreachable
        /// Connections are at their limit and the queue is full, or its time was over; nothing was sent.
        case overloaded
        /// The first byte of the answer, or its next byte, did not come in time.
        case timedOut = "timed_out"
        /// The connection ended before the first byte of an answer.
        case closedBeforeAnswer = "closed_before_answer"
        /// The connection ended in the head or the body of the answer.
        case closedInAnswer = "closed_in_answer"
        /// What came is no HTTP/1.1 answer to this request.
        case badAnswer = "bad_answer"
        /// The answer's body is longer than asked for.
        case tooLarge = "too_large"
        /// The one who asked no longer wants it, or the client is shut down.
        case cancelled
    }

    package var code: Code
    /// What happened, with the upstream's address.
    package var message: String
    /// The connection had been used before: it may have been closed by an idle limit while we were writing.
    package var onReusedConnection: Bool
    /// Which of the pool's upstreams it was about; `nil` for none in particular. For `acquire(excluding:)`.
    package var upstream: Int?

    package init(_ code: Code, _ message: String, onReusedConnection: Bool = false, upstream: Int? = nil) {
        self.upstream = upstream
        self.code = code
        self.message = message
        self.onReusedConnection = onReusedConnection
    }

    package var description: String { "\(self.code.rawValue): \(self.message)" }
}
