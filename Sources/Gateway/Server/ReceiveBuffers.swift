import NIOCore

/// Where what a browser says is read into, such that one who says nothing costs no buffer.
///
/// NIO keeps the first buffer it asks for as long as the connection lives, to use it again; those after it are kept only
/// up to `maxMessagesPerRead`, which is 1 here. So the first one is tiny and never used again, and each later one is let
/// go after its read. A handshake takes a second read for it (2 µs), and an idle connection is half a kilobyte smaller
/// (browsers' heads would leave one or two behind).
struct ReceiveBuffers: RecvByteBufferAllocator {
    /// NIO reads once for each time a socket is readable; what is left is read in the next loop turn.
    static let messagesPerRead: UInt = 1
    private static let least = 2_048
    private static let most = 65_536

    /// Bytes of the next buffer.
    private var size = 16

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer { allocator.buffer(capacity: self.size) }

    /// Larger for one who fills it, so that a burst is one read and goes out joined; smaller for one who needs a quarter.
    mutating func record(actualReadBytes: Int) -> Bool {
        if actualReadBytes >= self.size {
            self.size = min(max(self.size &* 2, Self.least), Self.most)
        } else if actualReadBytes < self.size / 4 {
            self.size = max(self.size / 2, Self.least)
        }
        // "The next one may be larger": the kept one is not taken then.
        return true
    }

    /// No promise of a size: NIO would make the kept buffer as large as that.
    func nextBufferSize() -> Int? { nil }
}
