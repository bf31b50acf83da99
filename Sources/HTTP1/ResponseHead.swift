import NIOCore

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

    public var keepAlive: Bool {
        if self.fields.hasToken("close", in: "connection") { return false }
        return self.version == .http11 || self.fields.hasToken("keep-alive", in: "connection")
    }

    /// How the response's body is framed (RFC 9112 section 6.3); it depends on the request's method.
    public func framing(requestMethod: String) throws(HTTP1Error) -> BodyFraming {
        let codings = self.fields.values("transfer-encoding")
        let lengths = self.fields.values("content-length")
        guard codings.isEmpty || lengths.isEmpty else {
            throw HTTP1Error(.badFraming, status: 502, "The response has both Transfer-Encoding and Content-Length.")
        }
        let length = try BodyFraming.length(of: lengths)
        if requestMethod == "HEAD" || (100...199).contains(self.status) || self.status == 204 || self.status == 304 {
            return .none
        }
        if requestMethod == "CONNECT", (200...299).contains(self.status) { return .none }
        guard codings.isEmpty else {
            guard self.version == .http11, codings.count == 1, codings[0].lowercased() == "chunked" else {
                throw HTTP1Error(.badTransferCoding, status: 502, "The response has a transfer coding other than chunked.")
            }
            return .chunked
        }
        return length ?? .untilClose
    }
}

/// How the end of a body is known.
public enum BodyFraming: Sendable, Hashable {
    case none
    /// So many bytes.
    case length(Int)
    case chunked
    /// All until the connection ends; responses only.
    case untilClose

    /// The length that `Content-Length` fields agree on; `nil` without any. One field with one number: a list, even of
    /// equal numbers, is refused, since not everybody reads it alike.
    static func length(of values: [String]) throws(HTTP1Error) -> BodyFraming? {
        guard let first = values.first else { return nil }
        guard values.count == 1 else { throw HTTP1Error(.badFraming, "There is more than one Content-Length.") }
        let digits = first.utf8
        guard !digits.isEmpty, digits.allSatisfy({ $0 &- 0x30 < 10 }), let length = Int(first) else {
            throw HTTP1Error(.badFraming, "Content-Length is no number of bytes.")
        }
        return .length(length)
    }
}

/// What status codes are called (RFC 9110 section 15 and the IANA registry).
public enum ReasonPhrase {
    public static func of(_ status: Int) -> String { Self.phrases[status] ?? "" }

    private static let phrases: [Int: String] = [
        100: "Continue", 101: "Switching Protocols", 103: "Early Hints",
        200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 205: "Reset Content", 206: "Partial Content",
        301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified", 307: "Temporary Redirect",
        308: "Permanent Redirect",
        400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
        406: "Not Acceptable", 408: "Request Timeout", 409: "Conflict", 410: "Gone", 411: "Length Required",
        412: "Precondition Failed", 413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type",
        416: "Range Not Satisfiable", 417: "Expectation Failed", 421: "Misdirected Request",
        422: "Unprocessable Content", 426: "Upgrade Required", 428: "Precondition Required", 429: "Too Many Requests",
        431: "Request Header Fields Too Large",
        500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
        504: "Gateway Timeout", 505: "HTTP Version Not Supported",
    ]
}
