import NIOCore

/// Base64 with the URL alphabet and padding (RFC 4648 section 5), as Fernet tokens are written.
enum Base64URL {
    private static let padding = UInt8(ascii: "=")
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// The value of each character; 255 for one that is not in the alphabet.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, character) in Self.alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }()

    /// Characters that `count` bytes become.
    static func length(of count: Int) -> Int { (count + 2) / 3 * 4 }

    /// Appends the text of `bytes`.
    static func encode(_ bytes: ByteBufferView, into buffer: inout ByteBuffer) {
        bytes.withUnsafeBytes { source in
            _ = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.length(of: source.count)) { target in
                Self.encode(source, into: target)
            }
        }
    }

    /// - Returns: the characters written.
    private static func encode(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Int {
        var out = 0
        func put(_ bits: UInt32, _ count: Int) {
            for place in 0..<4 {
                target[out &+ place] =
                    place < count ? Self.alphabet[Int(bits >> UInt32(18 &- 6 &* place) & 63)] : Self.padding
            }
            out &+= 4
        }
        var place = 0
        while place &+ 3 <= source.count {
            put(UInt32(source[place]) << 16 | UInt32(source[place &+ 1]) << 8 | UInt32(source[place &+ 2]), 4)
            place &+= 3
        }
        switch source.count &- place {
        case 1: put(UInt32(source[place]) << 16, 2)
        case 2: put(UInt32(source[place]) << 16 | UInt32(source[place &+ 1]) << 8, 3)
        default: break
        }
        return out
    }

    /// `nil` for another character, for padding that is missing or stands elsewhere than at the end, and for bits left
    /// over that are not zero, so that there is exactly one text for some bytes.
    static func decode(_ text: ByteBufferView) -> ByteBuffer? {
        guard text.count.isMultiple(of: 4) else { return nil }
        var digits = text
        for _ in 0..<2 where digits.last == Self.padding { digits = digits.dropLast() }
        var decoded = ByteBuffer()
        let isGood = digits.withUnsafeBytes { source in
            var isGood = false
            decoded.writeWithUnsafeMutableBytes(minimumWritableBytes: source.count / 4 * 3 + 3) { target in
                let count = Self.decode(source, into: target)
                isGood = count != nil
                return count ?? 0
            }
            return isGood
        }
        return isGood ? decoded : nil
    }

    /// - Returns: the bytes written; `nil` when it is no such text.
    private static func decode(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Int? {
        var (bits, held, out) = (UInt32(0), UInt32(0), 0)
        for character in source {
            let value = Self.values[Int(character)]
            guard value != 255 else { return nil }
            bits = bits << 6 | UInt32(value)
            held &+= 6
            guard held >= 8 else { continue }
            held &-= 8
            target[out] = UInt8(truncatingIfNeeded: bits >> held)
            out &+= 1
            bits &= (1 << held) &- 1
        }
        return bits == 0 ? out : nil
    }
}
