import NIOCore

/// Base64 with the standard alphabet and padding (RFC 4648 section 4).
enum Base64 {
    /// - Returns: `nil` for anything that is not exactly that; line breaks are passed over, as Go's decoder does.
    static func decode(_ text: String) -> ByteBuffer? {
        var bytes = ByteBuffer()
        bytes.reserveCapacity(text.utf8.count / 4 * 3)
        var (group, digits, padding) = (UInt32(0), 0, 0)
        for character in text.utf8 {
            if character == UInt8(ascii: "\n") || character == UInt8(ascii: "\r") { continue }
            if character == UInt8(ascii: "=") {
                padding += 1
                continue
            }
            guard padding == 0, let value = Base64.value(character) else { return nil }
            group = group << 6 | UInt32(value)
            digits += 1
            if digits == 4 {
                bytes.writeBytes([UInt8(group >> 16 & 255), UInt8(group >> 8 & 255), UInt8(group & 255)])
                (group, digits) = (0, 0)
            }
        }
        switch (digits, padding) {
        case (0, 0): break
        case (2, 2): bytes.writeInteger(UInt8(group >> 4 & 255))
        case (3, 1): bytes.writeBytes([UInt8(group >> 10 & 255), UInt8(group >> 2 & 255)])
        default: return nil
        }
        return bytes
    }

    private static func value(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
