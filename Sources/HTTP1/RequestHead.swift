import NIOCore

/// The first line and the fields of a request.
public struct RequestHead: Sendable, Hashable {
    /// `GET`, `POST`, …; a token, case sensitive.
    public var method: String
    /// As it came: `/path?query`, an absolute URL, an authority for CONNECT, or `*` for OPTIONS.
    public var target: String
    public var version: HTTPVersion
    public var fields: HeaderFields

    public init(method: String, target: String, version: HTTPVersion = .http11, fields: HeaderFields = .init()) {
        self.method = method
        self.target = target
        self.version = version
        self.fields = fields
    }

    /// The path before `?`, still percent-encoded; of an absolute target the part after its authority.
    public var path: String {
        let target = self.originForm
        return String(target.prefix { $0 != "?" })
    }

    /// What stands after the first `?`, as it came; empty when nothing does.
    public var query: String {
        guard let mark = self.target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return "" }
        return String(self.target[self.target.index(after: mark)...])
    }

    /// The target without scheme and authority (RFC 9112 section 3.2.2).
    public var originForm: Substring {
        guard !self.target.hasPrefix("/"), let scheme = self.target.firstRange(ofBytes: "://") else {
            return self.target[...]
        }
        let rest = self.target[scheme...]
        guard let slash = rest.firstIndex(where: { $0 == "/" || $0 == "?" }) else { return "/" }
        return rest[slash] == "/" ? rest[slash...] : "/" + rest[slash...]
    }

    /// The path with its percent-encoding undone: valid UTF-8 without NUL.
    public func decodedPath() throws(HTTP1Error) -> String { try PercentEncoding.decode(self.path) }

    /// Whether the connection may be used again after this request (RFC 9112 section 9.3).
    public var keepAlive: Bool {
        if self.fields.hasToken("close", in: "connection") { return false }
        return self.version == .http11 || self.fields.hasToken("keep-alive", in: "connection")
    }

    /// How the request's body is framed (RFC 9112 section 6).
    ///
    /// - Throws: for every shape that two readers could understand differently.
    public func framing() throws(HTTP1Error) -> BodyFraming {
        let codings = self.fields.values("transfer-encoding")
        let lengths = self.fields.values("content-length")
        guard codings.isEmpty else {
            guard lengths.isEmpty else {
                throw HTTP1Error(.badFraming, "The request has both Transfer-Encoding and Content-Length.")
            }
            guard self.version == .http11 else {
                throw HTTP1Error(.badFraming, "HTTP/1.0 has no Transfer-Encoding.")
            }
            guard codings.count == 1, codings[0].lowercased() == "chunked" else {
                throw HTTP1Error(.badTransferCoding, status: 501, "The only transfer coding is chunked.")
            }
            return .chunked
        }
        return try BodyFraming.length(of: lengths) ?? .none
    }
}

extension String {
    /// Where `text` ends, when it stands somewhere in this string.
    fileprivate func firstRange(ofBytes text: StaticString) -> String.Index? {
        let wanted = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        var start = self.utf8.startIndex
        while start < self.utf8.endIndex {
            if self.utf8[start...].starts(with: wanted) { return self.utf8.index(start, offsetBy: wanted.count) }
            start = self.utf8.index(after: start)
        }
        return nil
    }
}
