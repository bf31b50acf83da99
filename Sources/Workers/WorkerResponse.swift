public import HTTP1
public import NIOCore

/// What an application answers.
///
/// Lengths, chunks, `Date` and `Connection` are the server's business: a `Content-Length`, `Transfer-Encoding` or
/// `Connection` set by the application is replaced (`Connection: close` is obeyed).
public struct WorkerResponse: Sendable {
    /// 200 to 599.
    public var status: Int
    public var fields: HeaderFields
    public var body: Body

    public enum Body: Sendable {
        case bytes(ByteBuffer)
        /// Called on the same thread, after the head was sent; each `write` is on the wire before it returns, so
        /// progress can be streamed. When the closure throws, the connection is cut, so that the visitor sees the
        /// body is not whole. `length` tells the bytes beforehand where they are known; writing another number of
        /// them is an error.
        case stream(length: Int? = nil, @Sendable (any BodyWriter) throws -> Void)
    }

    public init(status: Int = 200, fields: HeaderFields = HeaderFields(), body: Body = .bytes(ByteBuffer())) {
        self.status = status
        self.fields = fields
        self.body = body
    }
}

extension WorkerResponse {
    /// Bytes of one content type.
    public init(status: Int = 200, contentType: String, _ bytes: ByteBuffer) {
        self.init(status: status, fields: HeaderFields([("Content-Type", contentType)]), body: .bytes(bytes))
    }

    /// Plain text in UTF-8.
    public static func text(_ text: String, status: Int = 200) -> WorkerResponse {
        WorkerResponse(status: status, contentType: "text/plain; charset=utf-8", ByteBuffer(string: text))
    }

    /// A page in UTF-8.
    public static func html(_ page: String, status: Int = 200) -> WorkerResponse {
        WorkerResponse(status: status, contentType: "text/html; charset=utf-8", ByteBuffer(string: page))
    }

    /// JSON text that was made elsewhere.
    public static func json(_ text: String, status: Int = 200) -> WorkerResponse {
        WorkerResponse(status: status, contentType: "application/json", ByteBuffer(string: text))
    }

    /// A body that is made while it is sent.
    public static func stream(
        status: Int = 200, contentType: String, length: Int? = nil,
        _ produce: @escaping @Sendable (any BodyWriter) throws -> Void
    ) -> WorkerResponse {
        WorkerResponse(
            status: status, fields: HeaderFields([("Content-Type", contentType)]),
            body: .stream(length: length, produce))
    }
}

/// Where a streamed body goes.
public protocol BodyWriter {
    /// Sends a chunk now and waits while the visitor reads slower than the application writes.
    ///
    /// - Throws: `WorkerError` `disconnected` when the visitor has gone, `stalled` when he read nothing for
    ///   `WorkersConfiguration.writeTimeout`, `overdue` when the request was given up. Never retry.
    func write(_ bytes: ByteBuffer) throws
}

extension BodyWriter {
    /// Sends text in UTF-8 as one chunk.
    public func write(_ text: String) throws { try self.write(ByteBuffer(string: text)) }
}
