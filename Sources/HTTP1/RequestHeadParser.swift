public import NIOCore

/// Bytes in, request heads out. A value without I/O; one per connection, used again for every request.
public struct RequestHeadParser: Sendable {
    private let limits: HeadLimits
    private var scanner = HeadScanner()
    private var skippedEmptyLine = false

    public init(limits: HeadLimits = .init()) { self.limits = limits }

    /// The next head; `nil` when it has not all come. Nothing is consumed before it has, but one empty line in front,
    /// which old clients send after a body (RFC 9112 section 2.2).
    ///
    /// - Throws: what is wrong; the connection cannot be used further.
    public mutating func parse(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> RequestHead? {
        if !self.skippedEmptyLine, buffer.readableBytes >= 2,
            buffer.getInteger(at: buffer.readerIndex, as: UInt16.self) == 0x0D0A
        {
            buffer.moveReaderIndex(forwardBy: 2)
            self.skippedEmptyLine = true
        }
        let limits = self.limits
        var scanner = self.scanner
        let outcome = buffer.withUnsafeReadableBytes { bytes -> Result<(RequestLine, HeadPlaces, Int)?, HTTP1Error> in
            do throws(HTTP1Error) {
                // A lone CR may still become the empty line.
                if bytes.count == 1, bytes[0] == 0x0D { return .success(nil) }
                guard let end = try scanner.end(in: bytes, limits: limits) else { return .success(nil) }
                let line = try RequestLine(bytes, limits: limits)
                let places = try FieldParser.places(bytes, from: line.end, to: end &- 2, limit: limits.fields)
                return .success((line, places, end))
            } catch {
                return .failure(error)
            }
        }
        self.scanner = scanner
        guard let (line, places, end) = try outcome.get(), let slice = buffer.readSlice(length: end) else { return nil }
        self.scanner = HeadScanner()
        self.skippedEmptyLine = false
        let head = RequestHead(
            method: line.method, target: line.target, version: line.version,
            fields: HeaderFields(bytes: slice, places: places))
        try Self.checkHost(head)
        return head
    }

    private typealias HeadPlaces = ContiguousArray<HeaderFields.Place>

    /// One valid Host in HTTP/1.1, at most one before (RFC 9112 section 3.2).
    private static func checkHost(_ head: RequestHead) throws(HTTP1Error) {
        let hosts = head.fields.values("host")
        guard hosts.count <= 1 else { throw HTTP1Error(.badHost, "There is more than one Host.") }
        guard let host = hosts.first else {
            guard head.version == .http10 else { throw HTTP1Error(.badHost, "Host is missing.") }
            return
        }
        guard Authority.isValid(host) else { throw HTTP1Error(.badHost, "Host is no host and port.") }
    }
}

/// `method SP target SP version` (RFC 9112 section 3): exactly one space between them.
struct RequestLine {
    let method: String
    let target: String
    let version: HTTPVersion
    /// Where the line after it begins.
    let end: Int

    /// - Parameter bytes: a head that the scanner found whole.
    init(_ bytes: UnsafeRawBufferPointer, limits: HeadLimits) throws(HTTP1Error) {
        var index = 0
        while FieldBytes.isToken(bytes[index]) { index &+= 1 }
        guard index > 0, index <= 64, bytes[index] == 0x20 else {
            throw HTTP1Error(.badRequestLine, "The request line does not begin with a method and one space.")
        }
        self.method = String(decoding: bytes[0..<index], as: UTF8.self)
        index &+= 1
        let targetStart = index
        while bytes[index] > 0x20, bytes[index] < 0x7F { index &+= 1 }
        guard index > targetStart, bytes[index] == 0x20 else {
            throw HTTP1Error(.badRequestLine, "The request's target has a byte that cannot stand there.")
        }
        guard index &- targetStart <= limits.targetBytes else {
            throw HTTP1Error(.targetTooLong, status: 414, "The target is longer than \(limits.targetBytes) bytes.")
        }
        self.target = String(decoding: bytes[targetStart..<index], as: UTF8.self)
        index &+= 1
        self.version = try VersionBytes.parse(bytes, &index)
        guard bytes[index] == 0x0D, bytes[index &+ 1] == 0x0A else {
            throw HTTP1Error(.badRequestLine, "There is more after the version.")
        }
        self.end = index &+ 2
        try Self.checkForm(of: self.target, method: self.method)
    }

    /// The four forms of RFC 9112 section 3.2, each with the methods it is for.
    private static func checkForm(of target: String, method: String) throws(HTTP1Error) {
        if method == "CONNECT" {
            guard Authority.isValid(target), target.contains(":") else {
                throw HTTP1Error(.badRequestLine, "The target of CONNECT is host:port.")
            }
        } else if target.hasPrefix("/") {
            guard !target.utf8.contains(UInt8(ascii: "#")) else {
                throw HTTP1Error(.badRequestLine, "A fragment cannot be requested.")
            }
        } else if target == "*" {
            guard method == "OPTIONS" else { throw HTTP1Error(.badRequestLine, "The target * is for OPTIONS.") }
        } else {
            let lowered = target.prefix(8).lowercased()
            let rest = lowered.hasPrefix("http://") ? target.dropFirst(7) : target.dropFirst(8)
            let authority = rest.prefix { $0 != "/" && $0 != "?" }
            guard lowered.hasPrefix("http://") || lowered == "https://", !authority.isEmpty,
                Authority.isValid(String(authority)), !target.utf8.contains(UInt8(ascii: "#"))
            else { throw HTTP1Error(.badRequestLine, "The target is neither a path nor a URL.") }
        }
    }
}

/// `HTTP/1.1` or `HTTP/1.0`.
enum VersionBytes {
    static func parse(_ bytes: UnsafeRawBufferPointer, _ index: inout Int) throws(HTTP1Error) -> HTTPVersion {
        let name: StaticString = "HTTP/"
        guard index &+ 8 <= bytes.count else { throw Self.fault }
        for offset in 0..<5 where bytes[index &+ offset] != name.utf8Start[offset] { throw Self.fault }
        let (major, dot, minor) = (bytes[index &+ 5], bytes[index &+ 6], bytes[index &+ 7])
        guard major &- 0x30 < 10, dot == UInt8(ascii: "."), minor &- 0x30 < 10 else { throw Self.fault }
        index &+= 8
        switch (major, minor) {
        case (0x31, 0x31): return .http11
        case (0x31, 0x30): return .http10
        default: throw HTTP1Error(.unsupportedVersion, status: 505, "Spoken are HTTP/1.1 and HTTP/1.0.")
        }
    }

    private static var fault: HTTP1Error { HTTP1Error(.badRequestLine, "The version is not HTTP/1.1 or HTTP/1.0.") }
}

/// `host` or `host:port` (RFC 3986 section 3.2.2, without user information). Empty is valid: a target without authority.
enum Authority {
    static func isValid(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        if rest.first == UInt8(ascii: "[") {
            guard let close = rest.firstIndex(of: UInt8(ascii: "]")), close > rest.startIndex &+ 1,
                rest[rest.startIndex.advanced(by: 1)..<close].allSatisfy({ Self.isHex($0) || $0 == 0x3A || $0 == 0x2E })
            else { return false }
            rest = rest[(close &+ 1)...]
        } else {
            rest = rest.drop { $0 != UInt8(ascii: ":") && Self.isHost($0) }
        }
        guard let colon = rest.popFirst() else { return true }
        return colon == UInt8(ascii: ":") && rest.count <= 5 && rest.allSatisfy { $0 &- 0x30 < 10 }
    }

    private static func isHex(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 6 }

    /// Unreserved characters, sub-delimiters and percent signs.
    private static func isHost(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"), UInt8(ascii: "!"), UInt8(ascii: "$"), UInt8(ascii: "&"), UInt8(ascii: "'"),
            UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: ";"),
            UInt8(ascii: "="), UInt8(ascii: "%"):
            true
        default: false
        }
    }
}
