public import JSON
public import NIOCore

extension LayerMessage {
    /// Appends the JSON form, as Python's `json.dumps` writes it by default.
    ///
    /// - Throws: `invalidMessage` for bytes, extensions and keys that are no text, which JSON cannot say.
    public func encodeJSON(into buffer: inout ByteBuffer) throws(LayerError) {
        try LayerValue.map(self.entries).writeJSON(into: &buffer)
    }

    /// Reads a message that Python's `json` wrote: any JSON, also `NaN` and `Infinity`.
    public init(json: ByteBuffer) throws(JSONError) {
        guard case .map(let entries) = LayerValue(try JSONValue(parsing: json, options: .init(isLenient: true))) else {
            throw JSONError("a message is an object", at: 0)
        }
        self.entries = entries
    }
}

extension LayerValue {
    fileprivate func writeJSON(into buffer: inout ByteBuffer) throws(LayerError) {
        switch self {
        case .null: buffer.writeStaticString("null")
        case .bool(let value): buffer.writeStaticString(value ? "true" : "false")
        case .int(let value): buffer.writeString(String(value))
        case .uint(let value): buffer.writeString(String(value))
        case .double(let value): buffer.writeJSONNumber(value)
        case .string(let text): buffer.writeJSONString(text, style: .python)
        case .json(let text):
            guard let tree = try? JSONValue(parsing: text.bytes) else {
                throw LayerError(.invalidMessage, "the JSON text cannot be read")
            }
            buffer.writeJSON(tree, style: .python)
        case .array(let elements):
            buffer.writeStaticString("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { buffer.writeStaticString(", ") }
                try element.writeJSON(into: &buffer)
            }
            buffer.writeStaticString("]")
        case .map(let entries):
            buffer.writeStaticString("{")
            for (index, entry) in entries.enumerated() {
                if index > 0 { buffer.writeStaticString(", ") }
                guard case .string(let key) = entry.key else {
                    throw LayerError(.invalidMessage, "a key that is no text cannot be written as JSON")
                }
                buffer.writeJSONString(key, style: .python)
                buffer.writeStaticString(": ")
                try entry.value.writeJSON(into: &buffer)
            }
            buffer.writeStaticString("}")
        case .bytes, .ext: throw LayerError(.invalidMessage, "bytes cannot be written as JSON")
        }
    }
}
