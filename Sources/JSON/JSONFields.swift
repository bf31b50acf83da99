package import NIOCore

/// The fields of a JSON object, each as it stands there. `null` is the same as not being there; of a key that stands twice
/// the last counts.
package struct JSONFields: Sendable {
    private var values: [String: JSONText] = [:]
    private var nulls: Set<String> = []

    /// - Parameter wanted: the keys to keep; the others are passed over.
    /// - Throws: `JSONError` for what is no JSON object, whole and nested at most 64 levels.
    package init(_ text: ByteBuffer, wanted: Set<String>) throws(JSONError) {
        self = try JSONReader.read(text) { reader throws(JSONError) -> JSONFields in
            guard case .beginObject? = try reader.nextPiece() else { throw JSONError("expected an object", at: 0) }
            var fields = JSONFields()
            while case .key(let key)? = try reader.nextPiece() {
                let name = reader.string(key)
                let range = try reader.skipValue()
                guard wanted.contains(name),
                    let bytes = text.getSlice(at: text.readerIndex &+ range.lowerBound, length: range.count)
                else { continue }
                let value = JSONText(unchecked: bytes)
                fields.values[name] = value.isNull ? nil : value
                if value.isNull { fields.nulls.insert(name) } else { fields.nulls.remove(name) }
            }
            _ = try reader.nextPiece()
            return fields
        }
    }

    package init() {}

    /// The value under `key` as it stands there.
    package subscript(key: String) -> JSONText? { self.values[key] }

    /// The text under `key`, empty when there is none.
    package func string(_ key: String) throws(JSONError) -> String {
        guard let value = self.values[key] else { return "" }
        guard let text = value.stringValue else { throw Self.unexpected(key, "a text") }
        return text
    }

    /// The same for what must not be `null`: it may be left out, but who writes it means something by it.
    package func nonNullString(_ key: String) throws(JSONError) -> String {
        guard !self.nulls.contains(key) else { throw Self.unexpected(key, "a text, and not null") }
        return try self.string(key)
    }

    /// `false` when there is none.
    package func bool(_ key: String) throws(JSONError) -> Bool {
        switch self.values[key].map({ String(buffer: $0.bytes) }) {
        case nil, "false": return false
        case "true": return true
        default: throw Self.unexpected(key, "true or false")
        }
    }

    /// A whole number in the bounds of its type, 0 when there is none. `5.0` is one too: so Python writes
    /// `time.time() // 1`, and JSON Schema calls it an integer.
    package func integer<Value: FixedWidthInteger>(_ key: String, _ type: Value.Type) throws(JSONError) -> Value {
        guard let value = self.values[key] else { return 0 }
        let text = String(buffer: value.bytes)
        // An integer's own parser takes the whole ones only.
        guard let number = Value(text) ?? Self.wholeNumber(text) else { throw Self.unexpected(key, "a whole number") }
        return number
    }

    private static func wholeNumber<Value: FixedWidthInteger>(_ text: String) -> Value? {
        // Beyond that a double may be another number than the one that was written.
        guard let number = Double(text), number.magnitude <= 0x1p53 else { return nil }
        return Value(exactly: number)
    }

    /// The object under `key`; `nil` when there is none.
    package func object(_ key: String, wanted: Set<String>) throws(JSONError) -> JSONFields? {
        guard let value = self.values[key] else { return nil }
        guard value.isObject else { throw Self.unexpected(key, "an object") }
        return try JSONFields(value.bytes, wanted: wanted)
    }

    /// The elements of the list under `key`; none when there is none.
    package func elements(_ key: String) throws(JSONError) -> [JSONText] {
        guard let value = self.values[key] else { return [] }
        guard value.isArray else { throw Self.unexpected(key, "a list") }
        return try JSONReader.read(value.bytes) { reader throws(JSONError) -> [JSONText] in
            var elements: [JSONText] = []
            _ = try reader.nextPiece()
            while let piece = try reader.nextPiece(), reader.level > 0 {
                let start = reader.tokenOffset
                switch piece {
                case .beginArray, .beginObject: while reader.level > 1 { _ = try reader.nextPiece() }
                default: break
                }
                let bytes = value.bytes.getSlice(
                    at: value.bytes.readerIndex &+ start, length: reader.offset &- start)
                if let bytes { elements.append(JSONText(unchecked: bytes)) }
            }
            return elements
        }
    }

    /// The texts of the list under `key`.
    package func strings(_ key: String) throws(JSONError) -> [String] {
        try self.elements(key).map { element throws(JSONError) -> String in
            guard let text = element.stringValue else { throw Self.unexpected(key, "a list of texts") }
            return text
        }
    }

    /// The pairs of the object under `key`, each value as it stands there.
    package func members(_ key: String) throws(JSONError) -> [(key: String, value: JSONText)] {
        guard let value = self.values[key] else { return [] }
        return try JSONReader.read(value.bytes) { reader throws(JSONError) -> [(key: String, value: JSONText)] in
            guard case .beginObject? = try reader.nextPiece() else { throw Self.unexpected(key, "an object") }
            var members: [(key: String, value: JSONText)] = []
            while case .key(let name)? = try reader.nextPiece() {
                let range = try reader.skipValue()
                let bytes = value.bytes.getSlice(
                    at: value.bytes.readerIndex &+ range.lowerBound, length: range.count)
                if let bytes { members.append((reader.string(name), JSONText(unchecked: bytes))) }
            }
            return members
        }
    }

    /// The pairs of the object under `key`, all of whose values are texts.
    package func texts(_ key: String) throws(JSONError) -> [(key: String, value: String)] {
        guard let value = self.values[key] else { return [] }
        return try JSONReader.read(value.bytes) { reader throws(JSONError) -> [(key: String, value: String)] in
            guard case .beginObject? = try reader.nextPiece() else { throw Self.unexpected(key, "an object") }
            var pairs: [(key: String, value: String)] = []
            while case .key(let name)? = try reader.nextPiece() {
                guard case .string(let text)? = try reader.nextPiece() else {
                    throw Self.unexpected(key, "an object of texts")
                }
                pairs.append((reader.string(name), reader.string(text)))
            }
            return pairs
        }
    }

    private static func unexpected(_ key: String, _ wanted: String) -> JSONError {
        JSONError("\(key): expected \(wanted)", at: 0)
    }
}
