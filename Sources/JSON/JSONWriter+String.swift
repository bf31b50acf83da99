package import NIOCore

extension ByteBuffer {
    /// Writes a string with its quotation marks. Runs of characters that need no escape are copied as they are.
    package mutating func writeJSONString(_ text: some StringProtocol, style: JSONStyle = .compact) {
        var text = String(text)
        self.writeInteger(UInt8(ascii: "\""))
        text.withUTF8 { bytes in
            let bytes = UnsafeRawBufferPointer(bytes)
            var index = 0
            while index < bytes.count {
                let start = index
                JSONScan.skipPlain(bytes, at: &index, upTo: style.escapesNonASCII ? 0x7F : 0xFF)
                if index > start { self.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[start..<index])) }
                guard index < bytes.count else { break }
                index &+= self.writeJSONEscape(of: bytes, at: index)
            }
        }
        self.writeInteger(UInt8(ascii: "\""))
    }

    /// Writes the escape of the character at `index` of valid UTF-8, and returns how many bytes that character has.
    private mutating func writeJSONEscape(of bytes: UnsafeRawBufferPointer, at index: Int) -> Int {
        let byte = bytes[index]
        switch byte {
        case 0x22: self.writeStaticString("\\\"")
        case 0x5C: self.writeStaticString("\\\\")
        case 0x08: self.writeStaticString("\\b")
        case 0x0C: self.writeStaticString("\\f")
        case 0x0A: self.writeStaticString("\\n")
        case 0x0D: self.writeStaticString("\\r")
        case 0x09: self.writeStaticString("\\t")
        case 0x00...0x7F: self.writeJSONUnit(UInt16(byte))
        default:
            let count = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
            let end = Swift.min(index &+ count, bytes.count)
            let character = String(decoding: UnsafeRawBufferPointer(rebasing: bytes[index..<end]), as: UTF8.self)
            for unit in character.utf16 { self.writeJSONUnit(unit) }
            return count
        }
        return 1
    }

    /// Writes `\uXXXX`.
    private mutating func writeJSONUnit(_ unit: UInt16) {
        func digit(_ shift: UInt16) -> UInt8 {
            let digit = UInt8(truncatingIfNeeded: unit >> shift & 0xF)
            return digit < 10 ? digit &+ UInt8(ascii: "0") : digit &+ UInt8(ascii: "a") &- 10
        }
        self.writeMultipleIntegers(UInt8(ascii: "\\"), UInt8(ascii: "u"), digit(12), digit(8), digit(4), digit(0))
    }
}
