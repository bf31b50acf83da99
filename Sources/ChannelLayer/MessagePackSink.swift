import JSON
import NIOCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Room for one message, and how many bytes the message has so far. What does not fit is counted and not written, so that
/// the writer can come again with room enough.
///
/// Values are stored straight into the room. Appending them to a buffer one by one takes longer, because every append
/// looks anew at who owns the storage and how much of it is left.
struct MessagePackSink {
    private let room: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ room: UnsafeMutableRawBufferPointer) { self.room = room }

    /// Whether everything was written.
    var isComplete: Bool { self.count <= self.room.count }

    /// The next `size` bytes, to be written; `nil` when there is no room for them.
    private mutating func take(_ size: Int) -> UnsafeMutableRawPointer? {
        let start = self.count
        self.count &+= size
        guard self.count <= self.room.count, let base = self.room.baseAddress else { return nil }
        return base + start
    }

    mutating func put(_ byte: UInt8) { self.take(1)?.storeBytes(of: byte, as: UInt8.self) }

    /// A code and a big-endian number.
    mutating func put<Value: FixedWidthInteger & BitwiseCopyable>(_ code: UInt8, _ value: Value) {
        guard let place = self.take(1 &+ MemoryLayout<Value>.size) else { return }
        place.storeBytes(of: code, as: UInt8.self)
        (place + 1).storeBytes(of: value.bigEndian, as: Value.self)
    }

    mutating func put(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, let place = self.take(bytes.count) else { return }
        memcpy(place, base, bytes.count)
    }

    // MARK: For what is known only later

    /// Makes room for `size` bytes after the byte at `place`, and moves up what stands there.
    mutating func insert(_ size: Int, after place: Int) {
        let count = self.count &- (place &+ 1)
        guard let end = self.take(size) else { return }
        memmove(end - count + size, end - count, count)
    }

    mutating func set<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at place: Int) {
        guard self.isComplete else { return }
        self.room.storeBytes(of: value.bigEndian, toByteOffset: place, as: Value.self)
    }
}
