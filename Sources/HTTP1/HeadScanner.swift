import Glibc
import NIOCore

/// Finds where a head ends, looking at each byte once however it arrives.
struct HeadScanner: Sendable {
    /// Bytes already looked at, from the head's first.
    private var scanned = 0
    /// Where the line that is being looked at began.
    private var lineStart = 0

    /// The length of the head with its empty line; `nil` when it has not all come.
    ///
    /// - Throws: a line that ends with a bare LF; a head over the limit.
    mutating func end(in bytes: UnsafeRawBufferPointer, limits: HeadLimits) throws(HTTP1Error) -> Int? {
        guard let base = bytes.baseAddress else { return nil }
        while self.scanned < bytes.count {
            guard let found = memchr(base + self.scanned, 0x0A, bytes.count &- self.scanned) else {
                self.scanned = bytes.count
                break
            }
            let feed = UnsafeRawPointer(found) - base
            guard feed > 0, bytes[feed &- 1] == 0x0D else {
                throw HTTP1Error(.badField, "A line of the head ends with LF alone.")
            }
            self.scanned = feed &+ 1
            if feed &- 1 == self.lineStart, self.lineStart > 0 {
                guard self.scanned <= limits.headBytes else { throw Self.tooLarge(limits) }
                return self.scanned
            }
            self.lineStart = self.scanned
        }
        guard bytes.count <= limits.headBytes else {
            if self.lineStart == 0 { throw HTTP1Error(.targetTooLong, status: 414, "The first line is too long.") }
            throw Self.tooLarge(limits)
        }
        // A request target alone may be longer than allowed long before the head is.
        if self.lineStart == 0, bytes.count > limits.targetBytes &+ 64 {
            throw HTTP1Error(.targetTooLong, status: 414, "The target is longer than \(limits.targetBytes) bytes.")
        }
        return nil
    }

    private static func tooLarge(_ limits: HeadLimits) -> HTTP1Error {
        HTTP1Error(.headTooLarge, status: 431, "The head is larger than \(limits.headBytes) bytes.")
    }
}

/// Takes the field lines of a head apart (RFC 9112 section 5).
enum FieldParser {
    /// - Parameters:
    ///   - bytes: the whole head.
    ///   - start: where the line after the first one begins.
    ///   - end: where the empty line begins.
    static func places(
        _ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int, limit: Int
    ) throws(HTTP1Error) -> ContiguousArray<HeaderFields.Place> {
        var places: ContiguousArray<HeaderFields.Place> = []
        places.reserveCapacity(16)
        var index = start
        while index < end {
            guard places.count < limit else {
                throw HTTP1Error(.tooManyFields, status: 431, "There are more than \(limit) header fields.")
            }
            places.append(try Self.line(bytes, &index))
        }
        return places
    }

    private static func line(
        _ bytes: UnsafeRawBufferPointer, _ index: inout Int
    ) throws(HTTP1Error) -> HeaderFields.Place {
        let nameStart = index
        if FieldBytes.isSpace(bytes[index]) {
            throw HTTP1Error(.badField, "A field line is folded, or begins with white space.")
        }
        while FieldBytes.isToken(bytes[index]) { index &+= 1 }
        let nameEnd = index
        guard nameEnd > nameStart, bytes[index] == UInt8(ascii: ":") else {
            throw HTTP1Error(.badField, "A field's name has a character that cannot stand there, or no colon after it.")
        }
        index &+= 1
        while FieldBytes.isSpace(bytes[index]) { index &+= 1 }
        let valueStart = index
        // The scanner has seen that each line ends with CR LF, so this ends too.
        while FieldBytes.isValue(bytes[index]) { index &+= 1 }
        guard bytes[index] == 0x0D, bytes[index &+ 1] == 0x0A else {
            throw HTTP1Error(.badField, "A field's value has a control character.")
        }
        var valueEnd = index
        while valueEnd > valueStart, FieldBytes.isSpace(bytes[valueEnd &- 1]) { valueEnd &-= 1 }
        index &+= 2
        return HeaderFields.Place(
            nameStart: UInt32(truncatingIfNeeded: nameStart), nameEnd: UInt32(truncatingIfNeeded: nameEnd),
            valueStart: UInt32(truncatingIfNeeded: valueStart), valueEnd: UInt32(truncatingIfNeeded: valueEnd))
    }
}
