/// The first line and the fields of a request.
///
/// What a parser hands out has passed all checks: one of the four target forms, one valid `Host` (HTTP/1.0 may have none),
/// a framing that cannot be misunderstood.
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

    // MARK: Parts of the target

    /// The path before `?`, still percent-encoded; of an absolute target the part after its authority.
    public var path: String {
        let target = self.originForm.utf8
        return String(Substring(target.prefix { $0 != UInt8(ascii: "?") }))
    }

    /// What stands after the first `?`, as it came; empty when nothing does.
    public var query: String {
        let target = self.target.utf8
        guard let mark = target.firstIndex(of: UInt8(ascii: "?")) else { return "" }
        return String(Substring(target[target.index(after: mark)...]))
    }

    /// The target without scheme and authority (RFC 9112 section 3.2.2): what an upstream is asked for. `*` and the target
    /// of CONNECT stay as they are.
    public var originForm: Substring {
        guard let rest = self.afterScheme else { return self.target[...] }
        guard let slash = rest.firstIndex(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }) else {
            return "/"
        }
        let path = Substring(rest[slash...])
        return rest[slash] == UInt8(ascii: "/") ? path : "/" + path
    }

    /// Whom the request is for: the authority of an absolute target or of CONNECT, which counts instead of `Host` (RFC 9112
    /// section 3.2.2), otherwise `Host`. `nil` when HTTP/1.0 does not say.
    public var authority: String? {
        if let rest = self.afterScheme {
            return String(Substring(rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }))
        }
        return self.method == "CONNECT" ? self.target : self.fields[.host]
    }

    /// What follows `http://` in an absolute target. Anything may stand in a query, so only the front is looked at.
    private var afterScheme: Substring.UTF8View? {
        let target = self.target.utf8
        guard let first = target.first, first != UInt8(ascii: "/"), first != UInt8(ascii: "*"), self.method != "CONNECT"
        else { return nil }
        let scheme = target.prefix { $0 != UInt8(ascii: ":") }
        let rest = target[scheme.endIndex...]
        guard rest.starts(with: "://".utf8) else { return nil }
        return rest.dropFirst(3)
    }

    /// Whether the target, as it came, begins with `prefix`; without making text.
    public func targetHasPrefix(_ prefix: StaticString) -> Bool {
        self.target.utf8.starts(with: UnsafeBufferPointer(start: prefix.utf8Start, count: prefix.utf8CodeUnitCount))
    }

    /// Whether the target, as it came, begins with `prefix`; without making text.
    public func targetHasPrefix(_ prefix: some Sequence<UInt8>) -> Bool { self.target.utf8.starts(with: prefix) }

    /// The path with its percent-encoding undone: valid UTF-8 without NUL. Segments of dots are still there.
    ///
    /// - Throws: `badEncoding`.
    public func decodedPath() throws(HTTP1Error) -> String { try PercentEncoding.decode(self.path) }

    // MARK: What it asks of the connection

    /// Whether the connection may be used again after this request (RFC 9112 section 9.3).
    public var keepAlive: Bool {
        guard self.fields.contains(.connection) else { return self.version == .http11 }
        if self.fields.hasToken("close", in: .connection) { return false }
        return self.version == .http11 || self.fields.hasToken("keep-alive", in: .connection)
    }

    /// How the request's body is framed (RFC 9112 section 6). A parser has asked already; of a head of our own making:
    ///
    /// - Throws: `badFraming` or `badTransferCoding`, for every shape that two readers could understand differently.
    public func framing() throws(HTTP1Error) -> BodyFraming {
        guard self.fields.contains(.transferEncoding) else {
            return try self.fields.contentLength().map(BodyFraming.length) ?? .none
        }
        guard !self.fields.contains(.contentLength) else {
            throw HTTP1Error(.badFraming, "The request has both Transfer-Encoding and Content-Length.")
        }
        guard self.version == .http11 else { throw HTTP1Error(.badFraming, "HTTP/1.0 has no Transfer-Encoding.") }
        try self.fields.checkChunked()
        return .chunked
    }

    /// One valid Host in HTTP/1.1, at most one before (RFC 9112 section 3.2).
    func checkHost() throws(HTTP1Error) {
        guard !self.fields.repeated.contains(.host) else {
            throw HTTP1Error(.badHost, "There is more than one Host.")
        }
        guard let host = self.fields.first(.host) else {
            guard self.version == .http10 else { throw HTTP1Error(.badHost, "Host is missing.") }
            return
        }
        guard self.fields.withValue(host, { Authority.isValid($0) }) else {
            throw HTTP1Error(.badHost, "Host is no host and port.")
        }
    }
}
