package import NIOCore

/// Base64 (RFC 4648), in both alphabets and without Foundation: what HTTP's fields, tokens and texts carry bytes in.
package enum Base64 {
    /// Which characters stand for 62 and 63.
    package enum Alphabet: Sendable {
        /// `+` and `/` (section 4).
        case standard
        /// `-` and `_` (section 5).
        case url

        fileprivate var letters: StaticString {
            switch self {
            case .standard: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
            case .url: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
            }
        }
    }

    /// The standard alphabet with padding (section 4).
    package static func encode(_ bytes: ByteBuffer) -> String {
        var text = ByteBuffer()
        text.writeBase64(bytes)
        return String(buffer: text)
    }

    /// Reads the standard alphabet with its padding. Line breaks are passed over, as Go's decoder does, and so are bits
    /// that are left over.
    ///
    /// - Returns: `nil` for anything else.
    package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        var decoder = Decoder(room: text.count, letters: (UInt8(ascii: "+"), UInt8(ascii: "/")))
        var padding = 0
        for character in text where character != UInt8(ascii: "\n") && character != UInt8(ascii: "\r") {
            if character == UInt8(ascii: "=") {
                padding &+= 1
            } else if padding > 0 || !decoder.take(character) {
                return nil
            }
        }
        return (decoder.count + padding).isMultiple(of: 4) && padding <= 2 ? decoder.bytes : nil
    }

    /// Reads the URL alphabet without padding (section 5).
    ///
    /// - Returns: `nil` for another character, an impossible length, or bits left over that are not zero, so that there
    ///   is exactly one text for some bytes.
    package static func decodeURL(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count % 4 != 1 else { return nil }
        var decoder = Decoder(room: text.count, letters: (UInt8(ascii: "-"), UInt8(ascii: "_")))
        for character in text where !decoder.take(character) { return nil }
        return decoder.rest == 0 ? decoder.bytes : nil
    }

    /// Reads the URL alphabet with its padding, as strictly: there is exactly one text for some bytes.
    package static func decodePaddedURL(_ text: ByteBuffer) -> ByteBuffer? {
        var digits = text.readableBytesView
        guard digits.count.isMultiple(of: 4) else { return nil }
        for _ in 0..<2 where digits.last == UInt8(ascii: "=") { digits = digits.dropLast() }
        return Self.decodeURL(digits).map { ByteBuffer(bytes: $0) }
    }

    private struct Decoder {
        private(set) var bytes: [UInt8] = []
        /// Characters taken.
        private(set) var count = 0
        /// Bits that are no whole byte yet, and how many.
        private(set) var rest: UInt32 = 0
        private var restBits: UInt32 = 0
        private let letters: (UInt8, UInt8)

        /// - Parameter letters: those for 62 and 63.
        init(room count: Int, letters: (UInt8, UInt8)) {
            self.letters = letters
            self.bytes.reserveCapacity(count / 4 * 3 + 2)
        }

        /// `false` for a character that is none.
        mutating func take(_ character: UInt8) -> Bool {
            guard let value = self.value(of: character) else { return false }
            self.count &+= 1
            self.rest = self.rest << 6 | UInt32(value)
            self.restBits &+= 6
            if self.restBits >= 8 {
                self.restBits &-= 8
                self.bytes.append(UInt8(truncatingIfNeeded: self.rest >> self.restBits))
                self.rest &= 1 << self.restBits &- 1
            }
            return true
        }

        private func value(of character: UInt8) -> UInt8? {
            switch character {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): character &- UInt8(ascii: "A")
            case UInt8(ascii: "a")...UInt8(ascii: "z"): character &- UInt8(ascii: "a") &+ 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): character &- UInt8(ascii: "0") &+ 52
            case self.letters.0: 62
            case self.letters.1: 63
            default: nil
            }
        }
    }
}

extension ByteBuffer {
    /// Writes `payload` as base64 with padding.
    package mutating func writeBase64(_ payload: ByteBuffer, alphabet: Base64.Alphabet = .standard) {
        let letters = alphabet.letters
        payload.withUnsafeReadableBytes { bytes in
            self.reserveCapacity(minimumWritableBytes: bytes.count / 3 &* 4 &+ 4)
            func letter(_ value: UInt32) -> UInt8 { letters.utf8Start[Int(value & 63)] }
            var index = 0
            while index < bytes.count {
                let left = bytes.count &- index
                let word =
                    UInt32(bytes[index]) << 16 | (left > 1 ? UInt32(bytes[index &+ 1]) << 8 : 0)
                    | (left > 2 ? UInt32(bytes[index &+ 2]) : 0)
                self.writeMultipleIntegers(
                    letter(word >> 18), letter(word >> 12),
                    left > 1 ? letter(word >> 6) : UInt8(ascii: "="), left > 2 ? letter(word) : UInt8(ascii: "="))
                index &+= 3
            }
        }
    }
}
