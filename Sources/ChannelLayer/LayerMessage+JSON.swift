public import JSON
public import NIOCore

extension LayerMessage {
    /// Appends the JSON form, as Python's `json.dumps` writes it by default.
    ///
    /// - Throws: `invalidMessage` for bytes, extensions and keys that are no text, which JSON cannot say, and for more than
    ///   128 levels. Nothing is written then.
    public func encodeJSON(into buffer: inout ByteBuffer) throws(LayerError) {
        let start = buffer.writerIndex
        do throws(LayerError) {
            try LayerValue.map(self.entries).writeJSON(into: &buffer, level: 0)
        } catch {
            buffer.moveWriterIndex(to: start)
            throw error
        }
    }

    /// Reads a message that Python's `json` wrote: any JSON of at most 128 levels, also `NaN` and `Infinity`.
    public init(json: ByteBuffer) throws(JSONError) {
        let options = JSONReader.Options(depth: LayerValue.maximumDepth, isLenient: true)
        guard case .map(let entries) = LayerValue(try JSONValue(parsing: json, options: options)) else {
            throw JSONError("a message is an object", at: 0)
        }
        self.entries = entries
    }
}

extension LayerValue {
    fileprivate func writeJSON(into buffer: inout ByteBuffer, level: Int) throws(LayerError) {
        switch self {
        case .null: buffer.writeStaticString("null")
        case .bool(let value): buffer.writeStaticString(value ? "true" : "false")
        case .int(let value): buffer.writeString(String(value))
        case .uint(let value): buffer.writeString(String(value))
        case .double(let value): buffer.writeJSONNumber(value, style: .python)
        case .string(let text): buffer.writeJSONString(text, style: .python)
        case .json(let text): try Self.writeJSON(text, into: &buffer)
        case .array(let elements):
            try MessagePackWriter.check(level: level)
            buffer.writeStaticString("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { buffer.writeStaticString(", ") }
                try element.writeJSON(into: &buffer, level: level + 1)
            }
            buffer.writeStaticString("]")
        case .map(let entries):
            try MessagePackWriter.check(level: level)
            buffer.writeStaticString("{")
            for (index, entry) in entries.enumerated() {
                if index > 0 { buffer.writeStaticString(", ") }
                guard case .string(let key) = entry.key else {
                    throw LayerError(.invalidMessage, "a key that is no text cannot be written as JSON")
                }
                buffer.writeJSONString(key, style: .python)
                buffer.writeStaticString(": ")
                try entry.value.writeJSON(into: &buffer, level: level + 1)
            }
            buffer.writeStaticString("}")
        case .bytes: throw LayerError(.invalidMessage, "bytes cannot be written as JSON; send text, or use MessagePack")
        case .ext: throw LayerError(.invalidMessage, "a MessagePack extension cannot be written as JSON")
        }
    }

    /// Written anew, because Python's style escapes what is not ASCII.
    private static func writeJSON(_ text: JSONText, into buffer: inout ByteBuffer) throws(LayerError) {
        do throws(JSONError) {
            buffer.writeJSON(try JSONValue(parsing: text.bytes), style: .python)
        } catch {
            throw LayerError(.invalidMessage, "the JSON text cannot be carried: \(error)")
        }
    }
}
