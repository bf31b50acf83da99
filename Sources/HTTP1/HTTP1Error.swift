/// Why bytes are not HTTP/1.1 that we take, with the status a server answers.
public struct HTTP1Error: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, Hashable {
        case badRequestLine, badStatusLine, unsupportedVersion, targetTooLong
        case badField, headTooLarge, tooManyFields
        case badHost, badFraming, badTransferCoding, badChunk, bodyTooLarge, endedEarly, badEncoding
    }

    public let code: Code
    /// The status a server answers: 400, 413, 414, 431, 501 or 505. The connection closes after it.
    public let status: Int
    /// One sentence for the person who looks.
    public let message: String

    public init(_ code: Code, status: Int = 400, _ message: String) {
        self.code = code
        self.status = status
        self.message = message
    }

    public var description: String { "\(self.code.rawValue) (\(self.status)): \(self.message)" }
}

/// Bounds for heads.
public struct HeadLimits: Sendable {
    /// Bytes of a whole head, first line and all.
    public var headBytes: Int
    /// Fields.
    public var fields: Int
    /// Bytes of a request's target.
    public var targetBytes: Int

    public init(headBytes: Int = 32_768, fields: Int = 100, targetBytes: Int = 8192) {
        self.headBytes = headBytes
        self.fields = fields
        self.targetBytes = targetBytes
    }
}

/// The versions that are spoken; everything else is refused with 505.
public enum HTTPVersion: Sendable, Hashable {
    case http10, http11
}
