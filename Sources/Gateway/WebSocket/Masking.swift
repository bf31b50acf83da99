import NIOCore

/// The four bytes a browser hides its payload with (RFC 6455 section 5.3).
package struct MaskingKey: Sendable, Equatable {
    /// In the order of the wire, first byte lowest.
    package let word: UInt32

    package init(_ bytes: (UInt8, UInt8, UInt8, UInt8)) {
        self.word = UInt32(bytes.0) | UInt32(bytes.1) << 8 | UInt32(bytes.2) << 16 | UInt32(bytes.3) << 24
    }

    /// Masks or unmasks in place.
    ///
    /// - Parameter phase: how many payload bytes of this frame came before `bytes`.
    package func apply(to bytes: UnsafeMutableRawBufferPointer, phase: Int) {
        let turn = UInt32(truncatingIfNeeded: phase & 3) &* 8
        let rotated = turn == 0 ? self.word : (self.word >> turn | self.word << (32 &- turn))
        let wide = UInt64(rotated) | UInt64(rotated) << 32
        var index = 0
        let count = bytes.count
        while index &+ 8 <= count {
            let value = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) ^ wide.littleEndian
            bytes.storeBytes(of: value, toByteOffset: index, as: UInt64.self)
            index &+= 8
        }
        while index < count {
            bytes[index] ^= UInt8(truncatingIfNeeded: rotated >> (UInt32(truncatingIfNeeded: index & 3) &* 8))
            index &+= 1
        }
    }
}

extension ByteBuffer {
    /// Moves `length` bytes from `input` to the end of this buffer, unmasked.
    ///
    /// - Parameter phase: how many payload bytes of the frame came before.
    mutating func writeUnmasked(_ input: inout ByteBuffer, length: Int, mask: MaskingKey?, phase: Int) {
        guard length > 0, let slice = input.readSlice(length: length) else { return }
        let start = self.writerIndex
        self.writeImmutableBuffer(slice)
        guard let mask else { return }
        let offset = start &- self.readerIndex
        self.withUnsafeMutableReadableBytes { bytes in
            mask.apply(to: UnsafeMutableRawBufferPointer(rebasing: bytes[offset...]), phase: phase)
        }
    }
}
