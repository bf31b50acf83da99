public import NIOCore

/// A piece of a body.
public enum BodyPart: Sendable, Hashable {
    case bytes(ByteBuffer)
    /// The body is complete. Trailers come with chunked bodies only.
    case end(trailers: HeaderFields)
}

/// Bytes in, the pieces of one body out (RFC 9112 sections 6 and 7). A value without I/O.
public struct BodyDecoder: Sendable {
    private enum State {
        case length(Int)
        case chunkSize, chunk(Int), chunkEnd
        case trailers(HeadScanner)
        case untilClose
        case complete
    }

    private static let chunkLineLimit = 256
    private var state: State
    private let limit: Int?
    private var taken = 0

    /// - Parameter limit: bytes the body may have; `nil` for any number.
    public init(framing: BodyFraming, limit: Int? = nil) {
        self.limit = limit
        switch framing {
        case .none: self.state = .length(0)
        case .length(let length): self.state = .length(length)
        case .chunked: self.state = .chunkSize
        case .untilClose: self.state = .untilClose
        }
    }

    /// Whether `end` has been returned.
    public var isComplete: Bool { if case .complete = self.state { true } else { false } }

    /// The next piece; `nil` when more bytes are needed, and after the end.
    public mutating func next(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> BodyPart? {
        while true {
            switch self.state {
            case .complete: return nil
            case .length(0):
                self.state = .complete
                return .end(trailers: HeaderFields())
            case .length(let left):
                if let limit = self.limit, self.taken == 0, left > limit { throw Self.tooLarge(limit) }
                guard let piece = try self.take(left, from: &buffer) else { return nil }
                self.state = .length(left &- piece.readableBytes)
                return .bytes(piece)
            case .untilClose:
                return try self.take(.max, from: &buffer).map(BodyPart.bytes)
            case .chunkSize:
                guard let size = try Self.chunkSize(&buffer) else { return nil }
                self.state = size > 0 ? .chunk(size) : .trailers(HeadScanner())
            case .chunk(let left):
                guard let piece = try self.take(left, from: &buffer) else { return nil }
                let rest = left &- piece.readableBytes
                self.state = rest > 0 ? .chunk(rest) : .chunkEnd
                return .bytes(piece)
            case .chunkEnd:
                guard let end = buffer.getInteger(at: buffer.readerIndex, as: UInt16.self) else {
                    try Self.checkLoneByte(buffer)
                    return nil
                }
                guard end == 0x0D0A else { throw HTTP1Error(.badChunk, "A chunk is longer than it said.") }
                buffer.moveReaderIndex(forwardBy: 2)
                self.state = .chunkSize
            case .trailers(let scanner):
                return try self.trailers(scanner, &buffer)
            }
        }
    }

    /// The input has ended.
    ///
    /// - Returns: the end of a body that lasts until then.
    /// - Throws: `endedEarly` when the body should have gone on.
    public mutating func finish() throws(HTTP1Error) -> BodyPart? {
        switch self.state {
        case .complete: return nil
        case .untilClose, .length(0):
            self.state = .complete
            return .end(trailers: HeaderFields())
        default: throw HTTP1Error(.endedEarly, "The connection ended inside a body.")
        }
    }

    private mutating func take(_ most: Int, from buffer: inout ByteBuffer) throws(HTTP1Error) -> ByteBuffer? {
        guard buffer.readableBytes > 0, let piece = buffer.readSlice(length: min(most, buffer.readableBytes)) else {
            return nil
        }
        let (taken, overflow) = self.taken.addingReportingOverflow(piece.readableBytes)
        self.taken = overflow ? .max : taken
        if let limit = self.limit, self.taken > limit { throw Self.tooLarge(limit) }
        return piece
    }

    private static func tooLarge(_ limit: Int) -> HTTP1Error {
        HTTP1Error(.bodyTooLarge, status: 413, "The body is larger than \(limit) bytes.")
    }

    private static func checkLoneByte(_ buffer: ByteBuffer) throws(HTTP1Error) {
        guard let byte = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self), byte != 0x0D else { return }
        throw HTTP1Error(.badChunk, "A chunk is longer than it said.")
    }

    // MARK: Chunks

    /// `1*HEXDIG [ ; extension ] CRLF`; at most 15 digits. Extensions are passed over; they are bounded and hold no
    /// control characters.
    private static func chunkSize(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> Int? {
        let outcome = buffer.withUnsafeReadableBytes { bytes -> Result<(size: Int, length: Int)?, HTTP1Error> in
            var size = 0
            var index = 0
            while index < bytes.count, let digit = Self.hex(bytes[index]) {
                guard index < 15 else { return .failure(HTTP1Error(.badChunk, "A chunk's size has too many digits.")) }
                size = size << 4 | digit
                index &+= 1
            }
            guard index < bytes.count else { return .success(nil) }
            guard index > 0 else { return .failure(HTTP1Error(.badChunk, "A chunk has no size.")) }
            if bytes[index] == UInt8(ascii: ";") {
                while index < bytes.count, FieldBytes.isValue(bytes[index]) { index &+= 1 }
                guard index <= Self.chunkLineLimit else {
                    return .failure(HTTP1Error(.badChunk, "A chunk's extension is too long."))
                }
            }
            guard index < bytes.count else { return .success(nil) }
            guard bytes[index] == 0x0D else {
                return .failure(HTTP1Error(.badChunk, "A chunk's size has a character that cannot stand there."))
            }
            guard index &+ 1 < bytes.count else { return .success(nil) }
            guard bytes[index &+ 1] == 0x0A else {
                return .failure(HTTP1Error(.badChunk, "A chunk's first line ends with CR alone."))
            }
            return .success((size, index &+ 2))
        }
        guard let (size, length) = try outcome.get() else { return nil }
        buffer.moveReaderIndex(forwardBy: length)
        return size
    }

    private static func hex(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte &- UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte &- UInt8(ascii: "a") &+ 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte &- UInt8(ascii: "A") &+ 10)
        default: nil
        }
    }

    // MARK: Trailers

    private static let trailerLimits = HeadLimits(headBytes: 8192, fields: 32, targetBytes: 8192)
    /// What would change how the message is read, had it come before the body (RFC 9110 section 6.5.1).
    private static let forbidden = [
        "content-length", "transfer-encoding", "host", "connection", "trailer", "te", "upgrade", "authorization",
        "cookie", "set-cookie", "content-encoding", "content-type", "content-range",
    ]

    private mutating func trailers(_ scanner: HeadScanner, _ buffer: inout ByteBuffer) throws(HTTP1Error) -> BodyPart? {
        guard buffer.readableBytes >= 2 else {
            try Self.checkLoneByteOfTrailers(buffer)
            return nil
        }
        if buffer.getInteger(at: buffer.readerIndex, as: UInt16.self) == 0x0D0A {
            buffer.moveReaderIndex(forwardBy: 2)
            self.state = .complete
            return .end(trailers: HeaderFields())
        }
        var scanner = scanner
        let outcome = buffer.withUnsafeReadableBytes { bytes -> Result<(ContiguousArray<HeaderFields.Place>, Int)?, HTTP1Error> in
            do throws(HTTP1Error) {
                guard let end = try scanner.end(in: bytes, limits: Self.trailerLimits) else { return .success(nil) }
                return .success(
                    (try FieldParser.places(bytes, from: 0, to: end &- 2, limit: Self.trailerLimits.fields), end))
            } catch {
                return .failure(HTTP1Error(.badChunk, error.message))
            }
        }
        guard let (places, end) = try outcome.get(), let slice = buffer.readSlice(length: end) else {
            self.state = .trailers(scanner)
            return nil
        }
        var fields = HeaderFields(bytes: slice, places: places)
        for name in Self.forbidden { fields.removeAll(name) }
        self.state = .complete
        return .end(trailers: fields)
    }

    private static func checkLoneByteOfTrailers(_ buffer: ByteBuffer) throws(HTTP1Error) {
        guard buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) == 0x0A else { return }
        throw HTTP1Error(.badChunk, "A line of the trailers ends with LF alone.")
    }
}
