import JSON
package import NIOCore

/// Layer values as the JSON text a browser or an API's client gets.
///
/// What JSON cannot say: bytes become base64 (RFC 4648 §4, with padding), as Python's and PHP's JSON users write them;
/// NaN and infinities become null; MessagePack extensions become null; keys of nested maps that are no text become
/// their JSON text as a text. Of a key that appears twice both are written, and every JSON reader takes the last.
package enum LayerJSON {
    /// Writes base64; it lives in a module this one does not have.
    package typealias Base64Writer = (_ bytes: ByteBuffer, _ buffer: inout ByteBuffer) -> Void

    /// - Returns: compact JSON; `nil` when it is nested more deeply than a message may be that a layer carries
    ///   (`LayerValue.maximumDepth`).
    package static func text(of value: LayerValue, base64: Base64Writer) -> ByteBuffer? {
        var buffer = ByteBuffer()
        return self.write(value, to: &buffer, depth: 0, base64) ? buffer : nil
    }

    private static func write(
        _ value: LayerValue, to buffer: inout ByteBuffer, depth: Int, _ base64: Base64Writer
    ) -> Bool {
        switch value {
        case .null, .ext: buffer.writeStaticString("null")
        case .bool(let bool): buffer.writeString(bool ? "true" : "false")
        case .int(let number): buffer.writeString(String(number))
        case .uint(let number): buffer.writeString(String(number))
        case .double(let number) where !number.isFinite: buffer.writeStaticString("null")
        case .double(let number): buffer.writeJSONNumber(number)
        case .string(let text): buffer.writeJSONString(text)
        case .bytes(let bytes):
            buffer.writeStaticString("\"")
            base64(bytes, &buffer)
            buffer.writeStaticString("\"")
        case .json(let text): buffer.writeImmutableBuffer(text.bytes)
        case .array(let elements):
            guard depth < LayerValue.maximumDepth else { return false }
            buffer.writeStaticString("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { buffer.writeStaticString(",") }
                guard self.write(element, to: &buffer, depth: depth + 1, base64) else { return false }
            }
            buffer.writeStaticString("]")
        case .map(let entries):
            guard depth < LayerValue.maximumDepth else { return false }
            buffer.writeStaticString("{")
            for (index, entry) in entries.enumerated() {
                if index > 0 { buffer.writeStaticString(",") }
                guard self.writeKey(entry.key, to: &buffer, depth: depth + 1, base64) else { return false }
                buffer.writeStaticString(":")
                guard self.write(entry.value, to: &buffer, depth: depth + 1, base64) else { return false }
            }
            buffer.writeStaticString("}")
        }
        return true
    }

    private static func writeKey(
        _ key: LayerValue, to buffer: inout ByteBuffer, depth: Int, _ base64: Base64Writer
    ) -> Bool {
        if case .string(let text) = key {
            buffer.writeJSONString(text)
            return true
        }
        var text = ByteBuffer()
        guard self.write(key, to: &text, depth: depth, base64) else { return false }
        buffer.writeJSONString(String(buffer: text))
        return true
    }
}
