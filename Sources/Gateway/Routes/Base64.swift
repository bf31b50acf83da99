/// Base64 (RFC 4648), both alphabets, without Foundation.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// The standard alphabet with padding.
    static func encode(_ bytes: some Collection<UInt8>) -> [UInt8] {
        var encoded: [UInt8] = []
        encoded.reserveCapacity((bytes.count + 2) / 3 * 4)
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 1
            guard count == 3 else { continue }
            for shift: UInt32 in [18, 12, 6, 0] { encoded.append(self.alphabet[Int(bits >> shift & 63)]) }
            bits = 0
            count = 0
        }
        switch count {
        case 1: encoded += [self.alphabet[Int(bits >> 2)], self.alphabet[Int(bits << 4 & 63)], 0x3d, 0x3d]
        case 2:
            encoded += [
                self.alphabet[Int(bits >> 10)], self.alphabet[Int(bits >> 4 & 63)], self.alphabet[Int(bits << 2 & 63)],
                0x3d,
            ]
        default: break
        }
        return encoded
    }

    /// The URL alphabet without padding; `nil` for another character, an impossible length, or bits left over that are
    /// not zero, so that there is exactly one text for some bytes.
    static func decodeURL(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count % 4 != 1 else { return nil }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(text.count / 4 * 3 + 2)
        var bits: UInt32 = 0
        var count = 0
        for character in text {
            guard let value = self.value(ofURLCharacter: character) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            guard count >= 8 else { continue }
            count -= 8
            decoded.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            bits &= 1 << UInt32(count) - 1
        }
        return bits == 0 ? decoded : nil
    }

    private static func value(ofURLCharacter character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
