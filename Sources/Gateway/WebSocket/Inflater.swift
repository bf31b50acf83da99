import CZlib
package import NIOCore
import Synchronization

/// Undoes the compression of one message (RFC 7692 section 7.2.2). Messages are independent of each other: we ask every
/// browser for `client_no_context_takeover`, so that nothing is kept between messages and one inflater serves a whole loop.
package final class Inflater: Sendable {
    package enum Result: Sendable, Equatable {
        case bytes(ByteBuffer)
        /// The message would be larger than the limit: a bomb, or a mistake.
        case tooBig
        case invalid
    }

    /// What zlib keeps, reused for every message. The lock is for the compiler: each event loop has an inflater.
    private let stream: Mutex<ZlibStream>

    package init() {
        self.stream = Mutex(ZlibStream())
    }

    /// - Parameter limit: bytes the result may have.
    package func inflate(_ input: ByteBuffer, limit: Int) -> Result {
        self.stream.withLock { $0.inflate(input, limit: limit) }
    }
}

/// Compresses messages for the wire, each without reference to any other, so that one compressed frame serves every
/// browser that agreed on the same window.
package final class Deflater: Sendable {
    private let stream: Mutex<ZlibStream>

    /// - Parameter windowBits: 9 to 15, the base-2 logarithm of the window that the browser keeps.
    package init(windowBits: Int) {
        self.stream = Mutex(ZlibStream(deflatingWith: Int32(clamping: min(max(windowBits, 9), 15))))
    }

    /// The payload of a frame with RSV1, or `nil` when zlib refused (out of memory): send it uncompressed then.
    package func deflate(_ input: ByteBuffer) -> ByteBuffer? {
        self.stream.withLock { $0.deflate(input) }
    }
}

/// One `z_stream` at a stable address. Guarded by the mutex of its owner.
private final class ZlibStream {
    private let stream: UnsafeMutablePointer<z_stream>
    private let isDeflating: Bool
    private let isReady: Bool

    init() {
        self.stream = .allocate(capacity: 1)
        self.stream.initialize(to: z_stream())
        self.isDeflating = false
        self.isReady = inflateInit2_(self.stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
    }

    init(deflatingWith windowBits: Int32) {
        self.stream = .allocate(capacity: 1)
        self.stream.initialize(to: z_stream())
        self.isDeflating = true
        // Level 3, measured as the knee for JSON of 200 to 8 000 bytes; raw deflate.
        self.isReady =
            deflateInit2_(
                self.stream, 3, Z_DEFLATED, -windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
                Int32(MemoryLayout<z_stream>.size)) == Z_OK
    }

    deinit {
        if self.isReady { _ = self.isDeflating ? deflateEnd(self.stream) : inflateEnd(self.stream) }
        self.stream.deinitialize(count: 1)
        self.stream.deallocate()
    }

    func inflate(_ input: ByteBuffer, limit: Int) -> Inflater.Result {
        guard self.isReady, inflateReset(self.stream) == Z_OK else { return .invalid }
        // Nothing is nothing: with the four bytes below it would be half a block.
        guard input.readableBytes > 0 else { return .bytes(input) }
        var input = input
        // The sender cut these four off the end of every message (RFC 7692 section 7.2.1).
        input.writeMultipleIntegers(UInt8(0), UInt8(0), UInt8(0xFF), UInt8(0xFF))
        var output = ByteBuffer()
        let outcome = input.withUnsafeReadableBytes { source -> Inflater.Result? in
            self.stream.pointee.next_in = Self.source(source)
            self.stream.pointee.avail_in = UInt32(clamping: source.count)
            while true {
                let status = Self.write(to: &output) { Self.run(self.stream, into: $0, CZlib.inflate) }
                if output.readableBytes > limit { return .tooBig }
                switch status {
                case Z_OK where self.stream.pointee.avail_in == 0 && self.isBetweenBlocks: return nil
                // It only wanted more room.
                case Z_OK where self.stream.pointee.avail_out == 0: continue
                // A final block inside a message: what follows it must be the end of the message.
                case Z_STREAM_END: return self.stream.pointee.avail_in <= 5 ? nil : .invalid
                default: return .invalid
                }
            }
        }
        self.stream.pointee.next_in = nil
        return outcome ?? .bytes(output)
    }

    /// Whether what was read ends with a whole block: a message that was cut short does not (zlib.h, `inflate`). zlib
    /// says it once only: of a further call, that finds nothing to do, it is not true.
    private var isBetweenBlocks: Bool { self.stream.pointee.data_type & 128 != 0 }

    func deflate(_ input: ByteBuffer) -> ByteBuffer? {
        guard self.isReady, deflateReset(self.stream) == Z_OK else { return nil }
        guard input.readableBytes > 0 else { return ByteBuffer(bytes: [0]) }
        var output = ByteBuffer()
        let isDone = input.withUnsafeReadableBytes { source -> Bool in
            self.stream.pointee.next_in = Self.source(source)
            self.stream.pointee.avail_in = UInt32(clamping: source.count)
            repeat {
                let status = Self.write(to: &output) { Self.run(self.stream, into: $0, CZlib.deflate) }
                guard status == Z_OK || status == Z_BUF_ERROR else { return false }
            } while self.stream.pointee.avail_out == 0
            return true
        }
        self.stream.pointee.next_in = nil
        guard isDone, output.readableBytes >= 4 else { return nil }
        return output.readSlice(length: output.readableBytes &- 4)
    }

    /// zlib reads from `next_in` and never writes there, whatever its type says.
    private static func source(_ bytes: UnsafeRawBufferPointer) -> UnsafeMutablePointer<Bytef>? {
        UnsafeMutablePointer(mutating: bytes.bindMemory(to: Bytef.self).baseAddress)
    }

    private static func run(
        _ stream: UnsafeMutablePointer<z_stream>, into room: UnsafeMutableRawBufferPointer,
        _ step: (UnsafeMutablePointer<z_stream>?, Int32) -> Int32
    ) -> (status: Int32, written: Int) {
        let room = UnsafeMutableRawBufferPointer(rebasing: room.prefix(1 << 20))
        stream.pointee.next_out = room.bindMemory(to: Bytef.self).baseAddress
        stream.pointee.avail_out = UInt32(clamping: room.count)
        let status = step(stream, Z_SYNC_FLUSH)
        return (status, room.count &- Int(stream.pointee.avail_out))
    }

    private static func write(
        to output: inout ByteBuffer,
        _ body: (UnsafeMutableRawBufferPointer) -> (status: Int32, written: Int)
    ) -> Int32 {
        var status: Int32 = Z_STREAM_ERROR
        output.writeWithUnsafeMutableBytes(minimumWritableBytes: max(1024, min(output.readableBytes, 1 << 20))) {
            room in
            let (code, written) = body(room)
            status = code
            return written
        }
        return status
    }
}
