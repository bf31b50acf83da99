package import ChannelLayer
import Crypto
import NIOCore

/// That a message was heard, and when.
package struct HeardMessage: Hashable, Sendable {
    /// What a message is known by in two processes: its group and its content.
    package struct Key: Hashable, Sendable {
        package var high: UInt64
        package var low: UInt64

        package init(high: UInt64, low: UInt64) {
            self.high = high
            self.low = low
        }
    }

    package var key: Key
    /// Nanoseconds of the host's monotonic clock, which all its processes share.
    package var time: UInt64

    package init(key: Key, time: UInt64) {
        self.key = key
        self.time = time
    }

    package init(_ message: LayerMessage, in group: GroupName, at time: UInt64) {
        var bytes = ByteBuffer()
        // What a broker carried has a carried form; a message without one stands for itself by its group alone.
        try? message.encodeMessagePack(into: &bytes)
        var hash = SHA256()
        hash.update(data: Array(group.text.utf8) + [0])
        bytes.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
        let words = hash.finalize().withUnsafeBytes { bytes in
            (bytes.loadUnaligned(as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
        self.init(key: Key(high: words.0, low: words.1), time: time)
    }
}
