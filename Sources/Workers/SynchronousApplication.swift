public import HTTP1
public import NIOCore

/// An application that answers one request at a time on a thread of its own. It may block as it likes.
public protocol SynchronousApplication: Sendable {
    /// Called on a pool thread for each request, many at once on different threads.
    ///
    /// - Throws: anything; the visitor then gets a 500 and the log the error.
    func respond(to request: WorkerRequest) throws -> WorkerResponse
}

/// A request as an application sees it: complete, its body read.
public struct WorkerRequest: Sendable {
    /// `GET`, `POST`, …
    public var method: String
    /// Percent-decoded, always begins with `/`.
    public var path: String
    /// What stood after `?`, as it came; empty when nothing did.
    public var query: String
    public var fields: HeaderFields
    public var body: ByteBuffer
    /// The visitor's address, from a trusted proxy's header or the socket; `nil` on a Unix socket without one.
    public var clientAddress: String?
}

/// What an application answers.
public struct WorkerResponse: Sendable {
    public var status: Int
    public var fields: HeaderFields
    public var body: Body

    public enum Body: Sendable {
        case bytes(ByteBuffer)
        /// Called on the same thread; each `write` is on the wire before it returns, so progress can be streamed.
        case stream(@Sendable (any BodyWriter) throws -> Void)
    }
}

/// Where a streamed body goes.
public protocol BodyWriter {
    /// Sends a chunk now and waits while the visitor reads slower than the application writes.
    ///
    /// - Throws: `WorkerError.disconnected` when the visitor has gone.
    func write(_ bytes: ByteBuffer) throws
}
