/// The first line and the fields of a response.
public struct ResponseHead: Sendable, Hashable {
    public var version: HTTPVersion
    /// 100 to 999.
    public var status: Int
    /// May be empty.
    public var reason: String
    public var fields: HeaderFields

    /// - Parameter reason: `nil` for the usual one.
    public init(version: HTTPVersion = .http11, status: Int, reason: String? = nil, fields: HeaderFields = .init()) {
        self.version = version
        self.status = status
        self.reason = reason ?? ReasonPhrase.of(status)
        self.fields = fields
    }

    /// Whether it is an interim response (1xx other than 101): the real one comes after it.
    public var isInterim: Bool { (100...199).contains(self.status) && self.status != 101 }

    /// Whether the server keeps the connection open (RFC 9112 section 9.3). It cannot when the body is framed `untilClose`.
    public var keepAlive: Bool {
        guard self.fields.contains(.connection) else { return self.version == .http11 }
        if self.fields.hasToken("close", in: .connection) { return false }
        return self.version == .http11 || self.fields.hasToken("keep-alive", in: .connection)
    }

    /// How the response's body is framed (RFC 9112 section 6.3).
    ///
    /// - Parameter requestMethod: of the request it answers: HEAD and CONNECT change what follows.
    /// - Throws: `badFraming` or `badTransferCoding` for every shape that two readers could understand differently, with 502.
    public func framing(requestMethod: String) throws(HTTP1Error) -> BodyFraming {
        let declared = try self.declaredFraming()
        switch self.status {
        case 100...199, 204, 304: return .none
        case 200...299 where requestMethod == "CONNECT": return .none
        default: return requestMethod == "HEAD" ? .none : declared
        }
    }

    /// What the fields say, whatever the request was.
    func declaredFraming() throws(HTTP1Error) -> BodyFraming {
        do throws(HTTP1Error) {
            guard self.fields.contains(.transferEncoding) else {
                return try self.fields.contentLength().map(BodyFraming.length) ?? .untilClose
            }
            guard !self.fields.contains(.contentLength) else {
                throw HTTP1Error(.badFraming, "The response has both Transfer-Encoding and Content-Length.")
            }
            guard self.version == .http11 else { throw HTTP1Error(.badFraming, "HTTP/1.0 has no Transfer-Encoding.") }
            try self.fields.checkChunked()
            return .chunked
        } catch {
            throw error.ofUpstream
        }
    }
}
