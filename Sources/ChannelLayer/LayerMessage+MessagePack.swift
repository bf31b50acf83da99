public import NIOCore

/// What is wrong with bytes that should be a MessagePack message, and where.
public struct MessagePackError: Error, Sendable, Equatable, CustomStringConvertible {
    public let message: String
    /// Bytes from the beginning.
    public let offset: Int
    public var description: String { "\(self.message) at byte \(self.offset)" }

    public init(_ message: String, at offset: Int) {
        self.message = message
        self.offset = offset
    }
}

/// Bounds for what is read from others.
public struct MessagePackLimits: Sendable {
    /// How many arrays and maps may be open at once; more than 128 counts as 128.
    public var depth = 128
    /// Bytes of the whole message.
    public var bytes = 16 << 20
    /// Values and keys in the whole message. Each takes 32 bytes of memory once it is read, and may be one byte before.
    public var values = 4 << 20

    public init(depth: Int = 128, bytes: Int = 16 << 20, values: Int = 4 << 20) {
        self.depth = depth
        self.bytes = bytes
        self.values = values
    }
}

extension LayerMessage {
    /// Reads a message: one map with text keys, and nothing after it.
    ///
    /// All that MessagePack has is read, in any width. Text that is not UTF-8, which old writers used for bytes, becomes
    /// bytes; extensions stay opaque. A key that is `bin` becomes text, as long as it is UTF-8. Bytes and extensions are
    /// slices of `buffer`'s storage, which they keep alive.
    public init(messagePack buffer: ByteBuffer, limits: MessagePackLimits = .init()) throws(MessagePackError) {
        guard buffer.readableBytes <= limits.bytes else {
            throw MessagePackError("\(buffer.readableBytes) bytes, at most \(limits.bytes)", at: 0)
        }
        let outcome = buffer.withUnsafeReadableBytes { bytes -> Result<[LayerValue.Entry], MessagePackError> in
            var reader = MessagePackReader(bytes, of: buffer, limits)
            do throws(MessagePackError) {
                return .success(try reader.message())
            } catch {
                return .failure(error)
            }
        }
        self.entries = try outcome.get()
    }
}
