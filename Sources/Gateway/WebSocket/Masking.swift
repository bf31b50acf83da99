import NIOCore

/// The four bytes a browser hides its payload with (RFC 6455 section 5.3).
package struct MaskingKey: Sendable, Equatable {
    /// In the order of the wire, first byte lowest.
    package let word: UInt32

    /// - Parameter word: in the order of the wire, first byte lowest.
    init(word: UInt32) { self.word = word }

    package init(_ bytes: (UInt8, UInt8, UInt8, UInt8)) {
        self.word = UInt32(bytes.0) | UInt32(bytes.1) << 8 | UInt32(bytes.2) << 16 | UInt32(bytes.3) << 24
    }

    /// Masks or unmasks in place.
    ///
    /// - Parameter phase: how many payload bytes of this frame came before `bytes`.
    package func apply(to bytes: UnsafeMutableRawBufferPointer, phase: Int) {
        self.apply(to: UnsafeRawBufferPointer(bytes), into: bytes, phase: phase)
    }

    /// Masks or unmasks `bytes` on the way to `target`, which has room for them and may be the same memory.
    func apply(to bytes: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer, phase: Int) {
        let turn = UInt32(truncatingIfNeeded: phase & 3) &* 8
        let rotated = turn == 0 ? self.word : (self.word >> turn | self.word << (32 &- turn))
        let wide = UInt64(rotated) | UInt64(rotated) << 32
        var index = 0
        let count = min(bytes.count, target.count)
        while index &+ 8 <= count {
            let value = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) ^ wide.littleEndian
            target.storeBytes(of: value, toByteOffset: index, as: UInt64.self)
            index &+= 8
        }
        while index < count {
            let key = UInt8(truncatingIfNeeded: rotated >> (UInt32(truncatingIfNeeded: index & 3) &* 8))
            target[index] = bytes[index] ^ key
            index &+= 1
        }
    }
}

extension ByteBuffer {
    /// Moves `length` bytes from `input` to the end of this buffer, unmasked.
    ///
    /// - Parameter phase: how many payload bytes of the frame came before.
    mutating func writeUnmasked(_ input: inout ByteBuffer, length: Int, mask: MaskingKey?, phase: Int) {
        guard length > 0, length <= input.readableBytes else { return }
        let mask = mask ?? MaskingKey((0, 0, 0, 0))
        // Unmasked while it is copied, and no slice is made: one pass over the bytes, one allocation at most.
        self.writeWithUnsafeMutableBytes(minimumWritableBytes: length) { target in
            input.withUnsafeReadableBytes { bytes in
                mask.apply(to: UnsafeRawBufferPointer(rebasing: bytes[..<length]), into: target, phase: phase)
            }
            return length
        }
        input.moveReaderIndex(forwardBy: length)
    }
}
