import NIOCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// One command for a Redis server: a name and its arguments, as they go on the wire (RESP: an array of bulk strings).
///
///     var publish = RedisCommand("PUBLISH", reserving: payload.readableBytes + 64)
///     publish.append("asgi__group__news")
///     publish.append(payload)
///
/// The wire form is written here, straight into the buffer that is sent, and not by `redisFormatCommandArgv`: that one
/// wants all arguments at once as an array of pointers, allocates the result anew and has to be copied out of it. How much
/// that saves was not measured. `RedisCommandTests` holds both to the same bytes.
struct RedisCommand: Sendable {
    /// The arguments, the name first, each with its head.
    private(set) var body: ByteBuffer
    /// Arguments, with the name.
    private(set) var count = 0
    /// Set when the command runs a script, which the server may have to be told first.
    let script: RedisScript?

    /// - Parameter bytes: of all arguments together, as far as known; only saves allocations.
    init(_ name: StaticString, reserving bytes: Int = 96) {
        self.init(reserving: bytes)
        self.append(name)
    }

    /// A command whose name is the first argument to be appended.
    init(reserving bytes: Int = 96) {
        self.body = ByteBufferAllocator().buffer(capacity: bytes + 32)
        self.script = nil
    }

    /// `EVALSHA`. The keys, and then the other arguments, are to be appended.
    ///
    /// - Parameter keys: how many of the arguments that follow are keys.
    init(running script: RedisScript, keys: Int, reserving bytes: Int = 96) {
        self.body = ByteBufferAllocator().buffer(capacity: bytes + 96)
        self.script = script
        self.append("EVALSHA" as StaticString)
        self.append(script.digest)
        self.append(keys)
    }

    /// Bytes on the wire.
    var size: Int { self.body.readableBytes + RESPDigits.count(of: self.count) + 3 }

    /// Too long to be copied on its way.
    var isLarge: Bool { self.body.readableBytes >= 65_536 }

    // MARK: Arguments

    mutating func append(_ text: StaticString) {
        self.append(bytes: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { self.append(bytes: UnsafeRawBufferPointer($0)) }
    }

    /// The readable bytes; whatever they are.
    mutating func append(_ bytes: ByteBuffer) {
        bytes.withUnsafeReadableBytes { self.append(bytes: $0) }
    }

    /// Two pieces as one argument: a prefix and a name, without a text made of both.
    mutating func append(_ prefix: String, _ rest: String) {
        var (prefix, rest) = (prefix, rest)
        prefix.withUTF8 { prefix in
            rest.withUTF8 { self.append(bytes: UnsafeRawBufferPointer(prefix), UnsafeRawBufferPointer($0)) }
        }
    }

    mutating func append(_ number: some FixedWidthInteger) {
        var digits = RESPDigits()
        digits.write(Int64(clamping: number))
        digits.withBytes { self.append(bytes: $0) }
    }

    /// The shortest text that says exactly this number, as Python writes it.
    mutating func append(_ number: Double) { self.append("\(number)") }

    /// - Parameter rest: bytes that belong to the same argument.
    mutating func append(
        bytes: UnsafeRawBufferPointer, _ rest: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) {
        let size = bytes.count + rest.count
        self.body.writeRESPHead(UInt8(ascii: "$"), size)
        self.body.writeWithUnsafeMutableBytes(minimumWritableBytes: size + 2) { room in
            room.copyMemory(from: bytes)
            UnsafeMutableRawBufferPointer(rebasing: room[bytes.count...]).copyMemory(from: rest)
            room[size] = UInt8(ascii: "\r")
            room[size + 1] = UInt8(ascii: "\n")
            return size + 2
        }
        self.count += 1
    }

    /// One argument that `write` itself puts into the buffer, so that it need not be made elsewhere and copied. Nothing is
    /// appended when that throws.
    mutating func append<Problem: Error>(
        writing write: (inout ByteBuffer) throws(Problem) -> Void
    ) throws(Problem) {
        // The length stands before what it counts: most arguments made so have three digits.
        let start = self.body.writerIndex
        let guess = 3
        self.body.writeRepeatingByte(0, count: guess + 3)
        do throws(Problem) {
            try write(&self.body)
        } catch {
            self.body.moveWriterIndex(to: start)
            throw error
        }
        let size = self.body.writerIndex - start - guess - 3
        self.body.moveEnd(start + guess + 3, by: RESPDigits.count(of: size) - guess)
        let end = self.body.writerIndex
        self.body.moveWriterIndex(to: start)
        self.body.writeRESPHead(UInt8(ascii: "$"), size)
        self.body.moveWriterIndex(to: end)
        self.body.writeStaticString("\r\n")
        self.count += 1
    }

    // MARK: The wire

    /// Appends the whole command to what is to be sent.
    func write(into buffer: inout ByteBuffer) {
        buffer.writeRESPHead(UInt8(ascii: "*"), self.count)
        buffer.writeImmutableBuffer(self.body)
    }

    /// The head alone, for a command whose body goes out without being copied.
    func writeHead(into buffer: inout ByteBuffer) { buffer.writeRESPHead(UInt8(ascii: "*"), self.count) }
}

extension ByteBuffer {
    /// `*3\r\n`, `$100\r\n`.
    fileprivate mutating func writeRESPHead(_ mark: UInt8, _ number: Int) {
        var digits = RESPDigits()
        digits.write(Int64(number))
        self.writeWithUnsafeMutableBytes(minimumWritableBytes: RESPDigits.room + 3) { room in
            room[0] = mark
            let count = digits.withBytes { digits in
                UnsafeMutableRawBufferPointer(rebasing: room[1...]).copyMemory(from: digits)
                return digits.count
            }
            room[count + 1] = UInt8(ascii: "\r")
            room[count + 2] = UInt8(ascii: "\n")
            return count + 3
        }
    }

    /// Moves everything from `index` on by some bytes, up or down.
    fileprivate mutating func moveEnd(_ index: Int, by distance: Int) {
        guard distance != 0 else { return }
        let length = self.writerIndex - index
        if distance > 0 { self.writeRepeatingByte(0, count: distance) }
        // Both ranges are within what was written.
        _ = try? self.copyBytes(at: index, to: index + distance, length: length)
        self.moveWriterIndex(to: index + distance + length)
    }
}

/// A decimal number, written without a text.
private struct RESPDigits {
    static let room = 20
    /// From the last digit to the first.
    private var bytes = InlineArray<20, UInt8>(repeating: 0)
    private var first = 20

    /// Digits of a number that is not negative.
    static func count(of number: Int) -> Int {
        var (count, rest) = (1, number)
        while rest >= 10 {
            rest /= 10
            count += 1
        }
        return count
    }

    mutating func write(_ number: Int64) {
        var rest = number.magnitude
        repeat {
            self.put(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        if number < 0 { self.put(UInt8(ascii: "-")) }
    }

    private mutating func put(_ byte: UInt8) {
        self.first -= 1
        self.bytes[self.first] = byte
    }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeBytes(of: self.bytes) { body(UnsafeRawBufferPointer(rebasing: $0[self.first...])) }
    }
}
