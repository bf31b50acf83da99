public import NIOCore

/// A piece of a body.
public enum BodyPart: Sendable, Hashable {
    /// Never empty. Shares what was given, and copies nothing.
    case bytes(ByteBuffer)
    /// The body is complete. Trailers come with chunked bodies only.
    case end(trailers: HeaderFields)
}

/// Bytes in, the pieces of one body out (RFC 9112 sections 6 and 7). A value without I/O.
///
/// Consumes what it has looked at and holds nothing back but unfinished trailers. What comes after the body stays where it is.
public struct BodyDecoder: Sendable {
    private enum State {
        case length(Int)
        case chunkLine(ChunkLine)
        /// Bytes of the chunk that are still to come.
        case chunk(Int)
        /// Between the CR and the LF of a chunk's end is `true`.
        case chunkEnd(seenReturn: Bool)
        case trailers(FieldSection)
        case untilClose
        case complete
        /// An error was thrown in the trailers.
        case broken
    }

    /// Trailers are rare and small.
    private static let trailerLimits = HeadLimits(headBytes: 8192, fields: 32)
    /// Bytes of extensions and leading zeros of one body: they cost the receiver, and say nothing.
    private static let extensionLimit = 16_384
    /// A chunk's line with nothing but a size.
    private static let plainLine = 18

    private var state: State
    private let limit: Int?
    private var taken = 0
    private var extensionBytes = 0

    /// - Parameters:
    ///   - framing: what the head's `framing` said.
    ///   - limit: bytes the body may have; `nil` for any number. Chunk lines and trailers don't count; they have bounds of their
    ///     own: 256 bytes a line, 16 KiB of extensions a body, 8 KiB and 32 fields of trailers.
    public init(framing: BodyFraming, limit: Int? = nil) {
        self.limit = limit
        switch framing {
        case .none: self.state = .length(0)
        case .length(let length): self.state = .length(max(length, 0))
        case .chunked: self.state = .chunkLine(ChunkLine())
        case .untilClose: self.state = .untilClose
        }
    }

    /// Whether `end` has been returned.
    public var isComplete: Bool { if case .complete = self.state { true } else { false } }

    /// The next piece; `nil` when more bytes are needed, and after the end. Call it until it is `nil`.
    ///
    /// - Throws: `badChunk`; `bodyTooLarge`, for a length over the limit before its first byte is taken. The connection
    ///   cannot be used further.
    public mutating func next(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> BodyPart? {
        while true {
            switch self.state {
            case .complete: return nil
            case .broken: throw HTTP1Error(.badChunk, "The trailers were malformed.")
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
            case .chunkLine(let line):
                guard try self.readLine(line, &buffer) else { return nil }
            case .chunk(let left):
                guard let piece = try self.take(left, from: &buffer) else { return nil }
                let rest = left &- piece.readableBytes
                self.state = rest > 0 ? .chunk(rest) : .chunkEnd(seenReturn: false)
                return .bytes(piece)
            case .chunkEnd(let seenReturn):
                guard let byte = buffer.readInteger(as: UInt8.self) else { return nil }
                guard byte == (seenReturn ? 0x0A : 0x0D) else {
                    throw HTTP1Error(.badChunk, "A chunk is longer than it said.")
                }
                self.state = seenReturn ? .chunkLine(ChunkLine()) : .chunkEnd(seenReturn: true)
            case .trailers(let section):
                return try self.readTrailers(section, &buffer)
            }
        }
    }

    /// The input has ended.
    ///
    /// - Returns: the end of a body that lasts until then; `nil` when it had ended already.
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

    // MARK: Chunks

    /// - Returns: whether the line is complete; the state is the one after it then.
    private mutating func readLine(_ begun: ChunkLine, _ buffer: inout ByteBuffer) throws(HTTP1Error) -> Bool {
        var line = begun
        let (used, isComplete) = try buffer.withUnsafeReadableBytes { bytes throws(HTTP1Error) in
            var used = 0
            while used < bytes.count {
                used &+= 1
                if try line.accept(bytes[used &- 1]) { return (used, true) }
            }
            return (used, false)
        }
        buffer.moveReaderIndex(forwardBy: used)
        guard isComplete else {
            self.state = .chunkLine(line)
            return false
        }
        self.extensionBytes &+= max(0, line.length &- Self.plainLine)
        guard self.extensionBytes <= Self.extensionLimit else {
            throw HTTP1Error(.badChunk, "The chunks have too many extensions.")
        }
        if let limit = self.limit, line.size > limit &- self.taken { throw Self.tooLarge(limit) }
        self.state = line.size > 0 ? .chunk(line.size) : .trailers(FieldSection())
        return true
    }

    // MARK: Trailers

    /// What says how a message is framed, routed or read has no meaning after it (RFC 9110 section 6.5.1), and whoever
    /// sends it there hopes that somebody else gives it one.
    private static let refusedTrailers: KnownFields = [
        .contentLength, .transferEncoding, .host, .connection, .upgrade, .te,
    ]
    /// What would be harmless before the body, but must not be taken over from its end.
    private static let droppedTrailers: KnownFields = [
        .trailer, .keepAlive, .proxyConnection, .expect, .authorization, .proxyAuthorization, .proxyAuthenticate,
        .cookie,
        .setCookie, .contentEncoding, .contentType, .contentRange, .cacheControl, .forwarded, .xForwardedFor,
        .xForwardedHost, .xForwardedProto, .xRealIP,
    ]

    private mutating func readTrailers(
        _ begun: FieldSection, _ buffer: inout ByteBuffer
    ) throws(HTTP1Error) -> BodyPart? {
        var section = begun
        // Not held twice, so that its places are not copied.
        self.state = .broken
        let isComplete = try buffer.withUnsafeReadableBytes { bytes throws(HTTP1Error) in
            try section.advance(bytes, limits: Self.trailerLimits)
        }
        guard isComplete, let slice = buffer.readSlice(length: section.cursor) else {
            self.state = .trailers(section)
            return nil
        }
        guard section.present.isDisjoint(with: Self.refusedTrailers) else {
            throw HTTP1Error(.badChunk, "A trailer says how the message was to be read.")
        }
        self.state = .complete
        guard !section.places.isEmpty else { return .end(trailers: HeaderFields()) }
        var fields = HeaderFields(
            bytes: slice, places: section.places, present: section.present, repeated: section.repeated)
        fields.removeAll(Self.droppedTrailers)
        return .end(trailers: fields)
    }
}
