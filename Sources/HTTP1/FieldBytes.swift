/// What bytes may stand where in a head (RFC 9110 sections 5.5 and 5.6, RFC 9112 section 3).
///
/// The long runs of a head, targets and values, are looked at eight bytes at a time: a byte below a bound borrows from its
/// topmost bit when the bound is subtracted. The lowest mark of a word is always right; higher ones may stem from the
/// borrow, so only the lowest is used.
enum FieldBytes {
    /// `tchar`: what methods and field names are made of.
    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool {
        // One bit for each of the 128 characters.
        let set: UInt64 = byte < 64 ? 0x03FF_6CFA_0000_0000 : 0x57FF_FFFF_C7FF_FFFE
        return byte < 128 && set &>> UInt64(byte & 63) & 1 == 1
    }

    /// Visible characters, space, tab, and bytes above 0x7F, which old servers send.
    @inline(__always)
    static func isValue(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7F || byte == 0x09 }

    @inline(__always)
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    @inline(__always)
    static func lowered(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    /// The value of a hexadecimal digit.
    @inline(__always)
    static func hex(_ byte: UInt8) -> UInt8? {
        if byte &- 0x30 < 10 { return byte &- 0x30 }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : nil
    }

    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let tops: UInt64 = 0x8080_8080_8080_8080

    /// Marks, at their topmost bits, the bytes of `word` that are smaller than `bound`.
    @inline(__always)
    private static func below(_ bound: UInt64, _ word: UInt64) -> UInt64 {
        (word &- Self.ones &* bound) & ~word & Self.tops
    }

    @inline(__always)
    private static func equal(_ byte: UInt64, _ word: UInt64) -> UInt64 { Self.below(1, word ^ (Self.ones &* byte)) }

    /// Marks the bytes of `word` that cannot stand in a value, and tabs.
    @inline(__always)
    private static func oddInValue(_ word: UInt64) -> UInt64 { Self.below(0x20, word) | Self.equal(0x7F, word) }

    /// Where the value that goes on at `start` has its first byte that cannot stand in it; `end` when all can.
    @inline(__always)
    static func endOfValue(_ base: UnsafeRawPointer, from start: Int, to end: Int) -> Int {
        var index = start
        // Values are most of a head, and the long ones most of the values.
        while index &+ 16 <= end {
            let one = UInt64(littleEndian: (base + index).loadUnaligned(as: UInt64.self))
            let other = UInt64(littleEndian: (base + (index &+ 8)).loadUnaligned(as: UInt64.self))
            guard Self.oddInValue(one) | Self.oddInValue(other) == 0 else { break }
            index &+= 16
        }
        while index &+ 8 <= end {
            let marks = Self.oddInValue(UInt64(littleEndian: (base + index).loadUnaligned(as: UInt64.self)))
            if marks == 0 {
                index &+= 8
                continue
            }
            index &+= marks.trailingZeroBitCount &>> 3
            guard base.load(fromByteOffset: index, as: UInt8.self) == 0x09 else { return index }
            index &+= 1
        }
        while index < end, Self.isValue(base.load(fromByteOffset: index, as: UInt8.self)) { index &+= 1 }
        return index
    }

    /// Where the token that goes on at `start` has its first byte that cannot stand in it; `end` when all can. Letters and
    /// hyphens, which names are made of, are passed over eight at a time.
    @inline(__always)
    static func endOfToken(_ base: UnsafeRawPointer, from start: Int, to end: Int) -> Int {
        var index = start
        while index &+ 8 <= end {
            let word = UInt64(littleEndian: (base + index).loadUnaligned(as: UInt64.self))
            // Seven bits a byte, so that no sum below carries into the next byte.
            let low = word & ~Self.tops
            let lowered = low | Self.ones &* 0x20
            let letters = (lowered &+ Self.ones &* (0x80 - 0x61)) & ~(lowered &+ Self.ones &* (0x80 - 0x7B))
            let hyphens = ~((low ^ Self.ones &* 0x2D) &+ Self.ones &* 0x7F)
            let odd = ((letters | hyphens) & ~word & Self.tops) ^ Self.tops
            if odd == 0 {
                index &+= 8
                continue
            }
            index &+= odd.trailingZeroBitCount &>> 3
            guard Self.isToken(base.load(fromByteOffset: index, as: UInt8.self)) else { return index }
            index &+= 1
        }
        while index < end, Self.isToken(base.load(fromByteOffset: index, as: UInt8.self)) { index &+= 1 }
        return index
    }

    /// Whether all of `bytes` can stand in a value.
    static func isValue(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        return Self.endOfValue(base, from: 0, to: bytes.count) == bytes.count
    }

    /// Where the request target that goes on at `start` has its first byte that cannot stand in it; `end` when all can.
    /// Targets are visible ASCII without `#`, which would begin a fragment.
    @inline(__always)
    static func endOfTarget(_ base: UnsafeRawPointer, from start: Int, to end: Int) -> Int {
        var index = start
        while index &+ 8 <= end {
            let word = UInt64(littleEndian: (base + index).loadUnaligned(as: UInt64.self))
            let marks = Self.below(0x21, word) | word & Self.tops | Self.equal(0x7F, word) | Self.equal(0x23, word)
            if marks != 0 { return index &+ marks.trailingZeroBitCount &>> 3 }
            index &+= 8
        }
        while index < end {
            let byte = base.load(fromByteOffset: index, as: UInt8.self)
            guard byte > 0x20, byte < 0x7F, byte != 0x23 else { break }
            index &+= 1
        }
        return index
    }

    /// Equal without regard to the case of ASCII letters.
    static func isSame(_ bytes: UnsafeRawBufferPointer, _ text: String) -> Bool {
        var text = text
        return text.withUTF8 { Self.isSame(bytes, UnsafeRawBufferPointer($0)) }
    }

    static func isSame(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
        guard one.count == other.count else { return false }
        for index in 0..<one.count where Self.lowered(one[index]) != Self.lowered(other[index]) { return false }
        return true
    }

    /// Without spaces and tabs at both ends.
    static func trimmed(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var start = 0
        var end = bytes.count
        while start < end, Self.isSpace(bytes[start]) { start &+= 1 }
        while end > start, Self.isSpace(bytes[end &- 1]) { end &-= 1 }
        return UnsafeRawBufferPointer(rebasing: bytes[start..<end])
    }

    static func text(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }
}
