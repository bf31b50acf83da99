import NIOCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Reads what nearly everything is that a busy server says, without the way through hiredis and the values that it makes:
///
///     :1 ⏎                                                                          how many heard a publication
///     *3 ⏎ $7 ⏎ message ⏎ $17 ⏎ asgi__group__news ⏎ $117 ⏎ … ⏎                      a message of a subscription
///
/// It knows no other forms, and nothing that is not whole: that stays where it is, for hiredis.
struct RedisShortcut {
    /// The last message. Written anew for the next one, in the same memory unless somebody keeps it.
    private var channel = ByteBuffer()
    private var payload = ByteBuffer()
    /// Messages come; before that nothing is taken for one.
    var expectsMessages = false

    /// - Parameter offset: where to read; moves behind what was read.
    /// - Returns: `nil` when hiredis must read it.
    mutating func read(_ bytes: UnsafeRawBufferPointer, at offset: inout Int) -> RedisArrival? {
        var cursor = RESPCursor(bytes, at: offset)
        if let number = cursor.number(after: UInt8(ascii: ":")) {
            offset = cursor.offset
            return .reply(.integer(Int64(number)))
        }
        guard self.expectsMessages, cursor.skip("*3\r\n$7\r\nmessage\r\n") || cursor.skip("*3\r\n$8\r\nsmessage\r\n"),
            let channel = cursor.bulk(), let payload = cursor.bulk()
        else { return nil }
        offset = cursor.offset
        Self.fill(&self.channel, channel)
        Self.fill(&self.payload, payload)
        return .message(channel: self.channel, payload: self.payload)
    }

    /// Writes into the same memory as long as nobody else holds it, and it is not far too much.
    private static func fill(_ buffer: inout ByteBuffer, _ bytes: UnsafeRawBufferPointer) {
        if buffer.capacity > 65_536, bytes.count < 16_384 {
            buffer = ByteBuffer(bytes: bytes)
        } else {
            buffer.clear(minimumCapacity: bytes.count)
            buffer.writeBytes(bytes)
        }
    }
}

/// A place in bytes of Redis' protocol. What is not there, or not whole, is not read: the place stays.
private struct RESPCursor {
    private let bytes: UnsafeRawBufferPointer
    private(set) var offset: Int

    init(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        self.bytes = bytes
        self.offset = offset
    }

    private var left: Int { self.bytes.count - self.offset }

    mutating func skip(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard count <= self.left, let base = self.bytes.baseAddress,
            memcmp(base + self.offset, text.utf8Start, count) == 0
        else { return false }
        self.offset += count
        return true
    }

    /// A number as servers write it, without a sign or zeros before it.
    mutating func number(after mark: UInt8) -> Int? {
        guard self.left >= 4, self.bytes[self.offset] == mark else { return nil }
        var (number, place) = (0, self.offset + 1)
        // A longer one would not be whole in any case.
        let end = min(self.bytes.count - 2, place + 9)
        while place < end {
            let digit = self.bytes[place] &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            number = number * 10 + Int(digit)
            place += 1
        }
        let digits = place - self.offset - 1
        guard digits == 1 || digits > 1 && self.bytes[self.offset + 1] != UInt8(ascii: "0"),
            self.bytes[place] == UInt8(ascii: "\r"), self.bytes[place + 1] == UInt8(ascii: "\n")
        else { return nil }
        self.offset = place + 2
        return number
    }

    /// Bytes with their length before them.
    mutating func bulk() -> UnsafeRawBufferPointer? {
        let start = self.offset
        guard let count = self.number(after: UInt8(ascii: "$")), count <= self.left - 2,
            self.bytes[self.offset + count] == UInt8(ascii: "\r"),
            self.bytes[self.offset + count + 1] == UInt8(ascii: "\n")
        else {
            self.offset = start
            return nil
        }
        defer { self.offset += count + 2 }
        return UnsafeRawBufferPointer(rebasing: self.bytes[self.offset..<self.offset + count])
    }
}
