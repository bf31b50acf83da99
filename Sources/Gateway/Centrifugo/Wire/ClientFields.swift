import JSON
import NIOCore

/// Some of the fields of a JSON object. Others are ignored, and so is `null`; of a key that stands twice the last counts.
struct ClientFields {
    private(set) var values: [String: JSONText] = [:]

    /// - Parameter wanted: the keys that are not ignored; `nil` for all.
    /// - Throws: `JSONError` for what is no JSON object, whole and nested at most 64 levels.
    init(_ text: ByteBuffer, wanted: Set<String>?) throws(JSONError) {
        self.values = try JSONReader.read(text) { reader throws(JSONError) -> [String: JSONText] in
            guard case .beginObject? = try reader.nextPiece() else { throw JSONError("expected an object", at: 0) }
            var values: [String: JSONText] = [:]
            while case .key(let key)? = try reader.nextPiece() {
                let name = reader.string(key)
                let range = try reader.skipValue()
                guard wanted?.contains(name) != false,
                    let bytes = text.getSlice(at: text.readerIndex &+ range.lowerBound, length: range.count)
                else { continue }
                let value = JSONText(unchecked: bytes)
                values[name] = value.isNull ? nil : value
            }
            _ = try reader.nextPiece()
            return values
        }
    }

    /// The value under `key` as it stands there.
    subscript(key: String) -> JSONText? { self.values[key] }

    /// The object under `key` with all its members; `nil` when there is none.
    func object(_ key: String) throws(JSONError) -> ClientFields? {
        guard let value = self.values[key] else { return nil }
        return try ClientFields(value.bytes, wanted: nil)
    }

    /// What an application says under `key`.
    func data(_ key: String) -> ClientData? { self.values[key].map(ClientData.json) }

    /// The text under `key`, empty when there is none.
    func string(_ key: String) throws(JSONError) -> String {
        guard let value = self.values[key] else { return "" }
        guard let text = value.stringValue else { throw Self.unexpected(key, "a text") }
        return text
    }

    /// `false` when there is none.
    func bool(_ key: String) throws(JSONError) -> Bool {
        switch self.values[key].map({ String(buffer: $0.bytes) }) {
        case nil, "false": return false
        case "true": return true
        default: throw Self.unexpected(key, "true or false")
        }
    }

    /// A whole number in the bounds of its type, 0 when there is none.
    func integer<Value: FixedWidthInteger>(_ key: String, _ type: Value.Type) throws(JSONError) -> Value {
        guard let value = self.values[key] else { return 0 }
        // A number's characters, of which an integer's own parser takes the whole ones only.
        guard let number = Value(String(buffer: value.bytes)) else { throw Self.unexpected(key, "a whole number") }
        return number
    }

    private static func unexpected(_ key: String, _ wanted: String) -> JSONError {
        JSONError("\(key): expected \(wanted)", at: 0)
    }
}
