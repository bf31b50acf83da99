public import HTTP1
public import NIOCore

/// An application that answers one request at a time on a thread of its own. It may block as it likes.
///
/// Many requests run at once, each on another thread of the pool (`WorkersConfiguration.threads`), so what they share
/// is shared between threads. A request that takes longer than `requestTimeout` is answered 504 for it, and its
/// thread replaced: nothing can end a thread from outside, so an application gives its own waits a limit.
public protocol SynchronousApplication: Sendable {
    /// Called on a pool thread for each request.
    ///
    /// - Throws: anything; the visitor then gets a 500 and the log the error.
    func respond(to request: WorkerRequest) throws -> WorkerResponse
}

/// A request as an application sees it: complete, its body read.
public struct WorkerRequest: Sendable {
    /// `GET`, `POST`, … A `HEAD` is answered like a `GET`; the server leaves the body out.
    public var method: String
    /// Percent-decoded, valid UTF-8, without NUL. Always begins with `/`; `..` is not resolved.
    public var path: String
    /// What stood after `?`, as it came; empty when nothing did.
    public var query: String
    /// The fields of the head, names in any case.
    public var fields: HeaderFields
    /// The whole body, at most `WorkersConfiguration.bodyLimit` bytes.
    public var body: ByteBuffer
    /// The visitor's address, from a trusted proxy's header or the socket; `nil` on a Unix socket without one.
    public var clientAddress: String?

    public init(
        method: String = "GET", path: String, query: String = "", fields: HeaderFields = HeaderFields(),
        body: ByteBuffer = ByteBuffer(), clientAddress: String? = nil
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.fields = fields
        self.body = body
        self.clientAddress = clientAddress
    }
}
