import ChannelLayer
import HTTP1
import JSON
import NIOCore

/// Layer values as the JSON text a browser gets.
///
/// What JSON cannot say: bytes become base64 (RFC 4648 §4, with padding), as Python's and PHP's JSON users write them;
/// NaN and infinities become null; MessagePack extensions become null; keys of nested maps that are no text become
/// their JSON text as a text. Of a key that appears twice both are written, and every JSON reader takes the last.
enum LayerJSON {
    /// Arrays and maps that may be open at once.
    static let depthLimit = 64

    /// - Returns: compact JSON; `nil` when it is nested more deeply than 64 levels.
    static func text(of value: LayerValue) -> ByteBuffer? {
        var buffer = ByteBuffer()
        return self.write(value, to: &buffer, depth: 0) ? buffer : nil
    }

    private static func write(_ value: LayerValue, to buffer: inout ByteBuffer, depth: Int) -> Bool {
        switch value {
        case .null, .ext: buffer.writeStaticString("null")
        case .bool(let bool): buffer.writeString(bool ? "true" : "false")
        case .int(let number): buffer.writeString(String(number))
        case .uint(let number): buffer.writeString(String(number))
        case .double(let number): buffer.writeString(number.isFinite ? "\(number)" : "null")
        case .string(let text): self.writeString(text, to: &buffer)
        case .bytes(let bytes): self.writeBase64(bytes, to: &buffer)
        case .json(let text): buffer.writeImmutableBuffer(text.bytes)
        case .array(let elements):
            guard depth < self.depthLimit else { return false }
            buffer.writeStaticString("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { buffer.writeStaticString(",") }
                guard self.write(element, to: &buffer, depth: depth + 1) else { return false }
            }
            buffer.writeStaticString("]")
        case .map(let entries):
            guard depth < self.depthLimit else { return false }
            buffer.writeStaticString("{")
            for (index, entry) in entries.enumerated() {
                if index > 0 { buffer.writeStaticString(",") }
                guard self.writeKey(entry.key, to: &buffer, depth: depth + 1) else { return false }
                buffer.writeStaticString(":")
                guard self.write(entry.value, to: &buffer, depth: depth + 1) else { return false }
            }
            buffer.writeStaticString("}")
        }
        return true
    }

    private static func writeKey(_ key: LayerValue, to buffer: inout ByteBuffer, depth: Int) -> Bool {
        if case .string(let text) = key {
            self.writeString(text, to: &buffer)
            return true
        }
        var text = ByteBuffer()
        guard self.write(key, to: &text, depth: depth) else { return false }
        self.writeString(String(buffer: text), to: &buffer)
        return true
    }

    static func writeString(_ text: String, to buffer: inout ByteBuffer) {
        buffer.writeStaticString("\"")
        var text = text
        text.withUTF8 { bytes in
            var plain = 0
            for (index, byte) in bytes.enumerated() where byte < 0x20 || byte == 0x22 || byte == 0x5c {
                buffer.writeBytes(bytes[plain..<index])
                self.writeEscape(byte, to: &buffer)
                plain = index + 1
            }
            buffer.writeBytes(bytes[plain...])
        }
        buffer.writeStaticString("\"")
    }

    private static func writeEscape(_ byte: UInt8, to buffer: inout ByteBuffer) {
        switch byte {
        case 0x22: buffer.writeStaticString("\\\"")
        case 0x5c: buffer.writeStaticString("\\\\")
        case 0x0a: buffer.writeStaticString("\\n")
        case 0x0d: buffer.writeStaticString("\\r")
        case 0x09: buffer.writeStaticString("\\t")
        default:
            buffer.writeStaticString(byte < 0x10 ? "\\u000" : "\\u00")
            buffer.writeString(String(byte, radix: 16))
        }
    }

    private static func writeBase64(_ bytes: ByteBuffer, to buffer: inout ByteBuffer) {
        buffer.writeStaticString("\"")
        buffer.writeBytes(Base64.encode(bytes.readableBytesView))
        buffer.writeStaticString("\"")
    }

    /// The text that a JSON text says when it is a single string; `nil` for every other value.
    static func string(in json: JSONText) -> String? {
        let view = json.bytes.readableBytesView
        guard view.count >= 2, view.first == 0x22 else { return nil }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(view.count)
        var iterator = view.dropFirst().dropLast().makeIterator()
        // The text was validated: what is not as expected cannot be, and ends the string.
        while let byte = iterator.next() {
            guard byte == 0x5c else {
                decoded.append(byte)
                continue
            }
            guard let escaped = iterator.next() else { break }
            switch escaped {
            case UInt8(ascii: "b"): decoded.append(0x08)
            case UInt8(ascii: "f"): decoded.append(0x0c)
            case UInt8(ascii: "n"): decoded.append(0x0a)
            case UInt8(ascii: "r"): decoded.append(0x0d)
            case UInt8(ascii: "t"): decoded.append(0x09)
            case UInt8(ascii: "u"): self.appendUnicode(&iterator, to: &decoded)
            default: decoded.append(escaped)
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    /// Four hexadecimal digits, and for the first half of a surrogate pair the second as well. A lone half becomes
    /// U+FFFD, since a text frame must be UTF-8.
    private static func appendUnicode(_ iterator: inout some IteratorProtocol<UInt8>, to decoded: inout [UInt8]) {
        func unit() -> UInt16? {
            var value: UInt16 = 0
            for _ in 0..<4 {
                guard let digit = iterator.next().flatMap(hexadecimalDigit) else { return nil }
                value = value << 4 | UInt16(digit)
            }
            return value
        }
        var units: [UInt16] = []
        guard let first = unit() else { return }
        units.append(first)
        if UTF16.isLeadSurrogate(first) {
            // `string(in:)` cannot see past a lone half without a second iterator, so look on a copy.
            var ahead = iterator
            if ahead.next() == 0x5c, ahead.next() == UInt8(ascii: "u") {
                _ = iterator.next()
                _ = iterator.next()
                if let second = unit() { units.append(second) }
            }
        }
        decoded += String(decoding: units, as: UTF16.self).utf8
    }
}
