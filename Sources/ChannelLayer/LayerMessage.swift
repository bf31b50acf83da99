public import JSON
public import NIOCore

/// What travels through a layer: an ordered map with text keys, by convention with a text under `type`.
public struct LayerMessage: Sendable, Equatable {
    /// Keys and values in the order they were written. A key that appears twice: the last one counts.
    public var entries: [LayerValue.Entry]

    public init(entries: [LayerValue.Entry] = []) { self.entries = entries }

    /// The value under a text key, or `nil`.
    public subscript(key: String) -> LayerValue? {
        for entry in self.entries.reversed() {
            if case .string(let name) = entry.key, name == key { return entry.value }
        }
        return nil
    }

    /// The text under `type`, which consumers and rules dispatch by; `nil` when there is none or it is no text.
    public var type: String? {
        guard case .string(let type)? = self["type"] else { return nil }
        return type
    }

    /// Keys that the layers of the Python packages add on the way, and that no application may use.
    public static let reservedKeys = ["__asgi_channel__", "__asgi_group__"]

    /// The first reserved key in the message. Every layer refuses to send a message that has one.
    public var reservedKey: String? {
        for entry in self.entries {
            // Nearly no key begins so, and every message that is sent is asked.
            guard case .string(let key) = entry.key, key.utf8.first == UInt8(ascii: "_") else { continue }
            if Self.reservedKeys.contains(key) { return key }
        }
        return nil
    }
}

extension LayerMessage: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, LayerValue)...) {
        self.init(entries: elements.map { LayerValue.Entry(key: .string($0.0), value: $0.1) })
    }
}

/// A value in a layer message. All that MessagePack can say is kept, also what no Channels application writes.
public enum LayerValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case int(Int64)
    /// Only for values above `Int64.max`; everything smaller is `int`.
    case uint(UInt64)
    case double(Double)
    case string(String)
    case bytes(ByteBuffer)
    case array([LayerValue])
    case map([Entry])
    /// A MessagePack extension, kept opaque.
    case ext(type: Int8, ByteBuffer)
    /// JSON text that was not taken apart. Encoding turns it into the values it says; it never comes out of a decoder.
    case json(JSONText)

    /// One key and its value. Keys of nested maps can be anything; keys of a message are texts.
    public struct Entry: Sendable, Equatable {
        public var key: LayerValue
        public var value: LayerValue
        public init(key: LayerValue, value: LayerValue) {
            self.key = key
            self.value = value
        }
    }

    /// How many arrays and maps may be open at once in a message that is sent, that is read, and that becomes JSON for a
    /// browser. JSON text, which has a bound of its own (`JSONText.maximumDepth`), fits in with room to spare.
    package static let maximumDepth = 128
}

extension LayerValue {
    /// What a JSON tree says.
    package init(_ json: JSONValue) {
        switch json.kind {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .int(value)
        case .unsigned(let value): self = .uint(value)
        case .double(let value): self = .double(value)
        case .string(let value): self = .string(value)
        case .array(let elements): self = .array(elements.map(LayerValue.init))
        case .object(let members):
            self = .map(members.map { Entry(key: .string($0.key), value: LayerValue($0.value)) })
        }
    }
}
