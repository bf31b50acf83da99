public import NIOCore

/// Bytes in, response heads out. A value without I/O; one per connection.
public struct ResponseHeadParser: Sendable {
    private let limits: HeadLimits
    private var scanner = HeadScanner()

    public init(limits: HeadLimits = .init()) { self.limits = limits }

    /// The next head; `nil` when it has not all come. Nothing is consumed before it has.
    public mutating func parse(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> ResponseHead? {
        let limits = self.limits
        var scanner = self.scanner
        let outcome = buffer.withUnsafeReadableBytes { bytes -> Result<(StatusLine, HeadPlaces, Int)?, HTTP1Error> in
            do throws(HTTP1Error) {
                guard let end = try scanner.end(in: bytes, limits: limits) else { return .success(nil) }
                let line = try StatusLine(bytes)
                let places = try FieldParser.places(bytes, from: line.end, to: end &- 2, limit: limits.fields)
                return .success((line, places, end))
            } catch {
                return .failure(error)
            }
        }
        self.scanner = scanner
        guard let (line, places, end) = try outcome.get(), let slice = buffer.readSlice(length: end) else { return nil }
        self.scanner = HeadScanner()
        return ResponseHead(
            version: line.version, status: line.status, reason: line.reason,
            fields: HeaderFields(bytes: slice, places: places))
    }

    private typealias HeadPlaces = ContiguousArray<HeaderFields.Place>
}

/// `version SP status SP [reason]` (RFC 9112 section 4); the space before an empty reason may be missing, as old servers
/// have it.
struct StatusLine {
    let version: HTTPVersion
    let status: Int
    let reason: String
    let end: Int

    init(_ bytes: UnsafeRawBufferPointer) throws(HTTP1Error) {
        var index = 0
        self.version = try VersionBytes.parse(bytes, &index)
        guard index &+ 5 < bytes.count, bytes[index] == 0x20 else { throw Self.fault }
        index &+= 1
        var status = 0
        for _ in 0..<3 {
            let digit = bytes[index] &- 0x30
            guard digit < 10 else { throw Self.fault }
            status = status &* 10 &+ Int(digit)
            index &+= 1
        }
        guard status >= 100 else { throw Self.fault }
        self.status = status
        var start = index
        if bytes[index] == 0x20 {
            index &+= 1
            start = index
            while FieldBytes.isValue(bytes[index]) { index &+= 1 }
        }
        guard bytes[index] == 0x0D, bytes[index &+ 1] == 0x0A else { throw Self.fault }
        self.reason = String(decoding: bytes[start..<index], as: UTF8.self)
        self.end = index &+ 2
    }

    private static var fault: HTTP1Error { HTTP1Error(.badStatusLine, status: 502, "The status line is malformed.") }
}
