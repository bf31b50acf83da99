/// Reads `1*HEXDIG *( ";" name [ "=" value ] ) CRLF` (RFC 9112 section 7.1), byte by byte, so that nothing has to be held.
///
/// Extensions are checked to the letter and thrown away. White space, which the grammar tolerates around them, is refused:
/// readers differ on it, and no sender is known to write it.
struct ChunkLine: Sendable {
    private enum Phase: UInt8 {
        case size, nameStart, name, valueStart, value, quoted, escaped, afterQuoted, lineEnd
    }

    /// Bytes of one line.
    static let limit = 256
    /// Digits that fit into 60 bits.
    private static let mostDigits = 15

    private var phase = Phase.size
    /// Bytes that have been looked at.
    private(set) var length = 0
    private(set) var size = 0

    /// - Returns: whether `byte` was the last one of the line; `size` is right then.
    mutating func accept(_ byte: UInt8) throws(HTTP1Error) -> Bool {
        self.length &+= 1
        guard self.length <= Self.limit else { throw HTTP1Error(.badChunk, "A chunk's extension is too long.") }
        switch self.phase {
        case .size:
            guard let digit = FieldBytes.hex(byte) else {
                guard self.length > 1 else { throw HTTP1Error(.badChunk, "A chunk has no size.") }
                try self.endPart(byte)
                break
            }
            guard self.length <= Self.mostDigits else {
                throw HTTP1Error(.badChunk, "A chunk's size has too many digits.")
            }
            self.size = self.size &<< 4 | Int(digit)
        case .nameStart:
            guard FieldBytes.isToken(byte) else { throw Self.fault }
            self.phase = .name
        case .name where byte == UInt8(ascii: "="): self.phase = .valueStart
        case .valueStart where byte == UInt8(ascii: "\""): self.phase = .quoted
        case .valueStart:
            guard FieldBytes.isToken(byte) else { throw Self.fault }
            self.phase = .value
        case .name, .value:
            if !FieldBytes.isToken(byte) { try self.endPart(byte) }
        case .quoted where byte == UInt8(ascii: "\\"): self.phase = .escaped
        case .quoted where byte == UInt8(ascii: "\""): self.phase = .afterQuoted
        case .quoted, .escaped:
            guard FieldBytes.isValue(byte), byte < 0x80 else { throw Self.fault }
            self.phase = .quoted
        case .afterQuoted: try self.endPart(byte)
        case .lineEnd:
            guard byte == 0x0A else { throw HTTP1Error(.badChunk, "A chunk's first line has a CR without LF.") }
            return true
        }
        return false
    }

    /// What may follow a size or a whole extension: another extension, or the line's end.
    private mutating func endPart(_ byte: UInt8) throws(HTTP1Error) {
        switch byte {
        case UInt8(ascii: ";"): self.phase = .nameStart
        case 0x0D: self.phase = .lineEnd
        case 0x0A: throw HTTP1Error(.badChunk, "A chunk's first line ends with LF alone.")
        default: throw Self.fault
        }
    }

    private static var fault: HTTP1Error {
        HTTP1Error(.badChunk, "A chunk's first line has a character that cannot stand there.")
    }
}
