/// Why bytes are not HTTP/1.1 that we take, with the status a server answers.
///
/// After any of them the connection ends: where the next message would begin can no longer be told. A retry of the same
/// bytes never helps.
public struct HTTP1Error: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, Hashable {
        /// 400: the first line of a request is malformed.
        case badRequestLine = "bad_request_line"
        /// 501: a method that is not in the table of those that are known.
        case unknownMethod = "unknown_method"
        /// 505: HTTP, but neither 1.1 nor 1.0.
        case unsupportedVersion = "unsupported_version"
        /// 414.
        case targetTooLong = "target_too_long"
        /// The first line of a response is malformed.
        case badStatusLine = "bad_status_line"
        /// 400: a field line is malformed.
        case badField = "bad_field"
        /// 431.
        case headTooLarge = "head_too_large", tooManyFields = "too_many_fields"
        /// 400: `Host` is missing, malformed or there twice.
        case badHost = "bad_host"
        /// 400: lengths that two readers could understand differently.
        case badFraming = "bad_framing"
        /// 501, or 400 when the body's end could not be told: a transfer coding other than `chunked`.
        case badTransferCoding = "bad_transfer_coding"
        /// 400: a chunk's line, end or trailer is malformed.
        case badChunk = "bad_chunk"
        /// 413.
        case bodyTooLarge = "body_too_large"
        /// The input ended inside a message.
        case endedEarly = "ended_early"
        /// 400: percent-encoding that is malformed or hides no text.
        case badEncoding = "bad_encoding"
    }

    public let code: Code
    /// The status a server answers: 400, 413, 414, 431, 501 or 505. When an upstream's response is at fault it is 502.
    public let status: Int
    /// One sentence for the person who looks. It never quotes what came.
    public let message: String

    public init(_ code: Code, status: Int = 400, _ message: String) {
        self.code = code
        self.status = status
        self.message = message
    }

    public var description: String { "\(self.code.rawValue) (\(self.status)): \(self.message)" }

    /// The same fault when it is in a response: a proxy answers 502 for it, whatever it is.
    var ofUpstream: HTTP1Error { HTTP1Error(self.code, status: 502, self.message) }
}
