/// Checks text that arrives in pieces: says at the first byte that cannot stand, without waiting for the rest.
///
/// RFC 3629 section 4: no overlong forms, no surrogates, nothing above U+10FFFF.
package struct UTF8Validator: Sendable {
    /// Continuation bytes still wanted.
    private var wanted: UInt8 = 0
    /// Bounds of the next continuation byte; narrower than 80 to BF right after E0, ED, F0 and F4.
    private var low: UInt8 = 0x80
    private var high: UInt8 = 0xBF

    package init() {}

    /// No character is cut open: a text may end here.
    package var isComplete: Bool { self.wanted == 0 }

    /// Takes the next bytes. Returns `false` at the first one that no valid text has here.
    package mutating func accept(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        let count = bytes.count
        while index < count {
            if self.wanted == 0 {
                // Eight ASCII bytes at a time: what most text is.
                while index &+ 8 <= count,
                    bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
                {
                    index &+= 8
                }
                guard index < count else { return true }
            }
            guard self.accept(bytes[index]) else { return false }
            index &+= 1
        }
        return true
    }

    private mutating func accept(_ byte: UInt8) -> Bool {
        guard self.wanted == 0 else {
            guard byte >= self.low, byte <= self.high else { return false }
            self.expect(self.wanted &- 1)
            return true
        }
        switch byte {
        case 0x00...0x7F: break
        case 0xC2...0xDF: self.expect(1)
        case 0xE0: self.expect(2, low: 0xA0)
        case 0xE1...0xEC, 0xEE...0xEF: self.expect(2)
        case 0xED: self.expect(2, high: 0x9F)
        case 0xF0: self.expect(3, low: 0x90)
        case 0xF1...0xF3: self.expect(3)
        case 0xF4: self.expect(3, high: 0x8F)
        default: return false
        }
        return true
    }

    private mutating func expect(_ wanted: UInt8, low: UInt8 = 0x80, high: UInt8 = 0xBF) {
        self.wanted = wanted
        self.low = low
        self.high = high
    }
}
