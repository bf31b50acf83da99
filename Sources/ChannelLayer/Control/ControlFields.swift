import JSON
import NIOCore

/// The entries of a control message, each read as what it must be and within bounds.
struct ControlFields {
    /// Why a message of the type cannot be used.
    struct Fault: Error, Equatable {
        let key: String
    }

    /// Bytes of a name, a user, a reason; and of what applications put in.
    static let textLimit = 1_024
    static let payloadLimit = 1 << 20

    private let message: LayerMessage

    init(_ message: LayerMessage) { self.message = message }

    /// Empty when there is none.
    func text(_ key: String, limit: Int = Self.textLimit) throws(Fault) -> String {
        switch self.message[key] {
        case nil, .null?: return ""
        case .string(let text)? where text.utf8.count <= limit: return text
        default: throw Fault(key: key)
        }
    }

    func required(_ key: String) throws(Fault) -> String {
        let text = try self.text(key)
        guard !text.isEmpty else { throw Fault(key: key) }
        return text
    }

    /// 0 when there is none.
    func integer<Number: FixedWidthInteger>(_ key: String, _ type: Number.Type) throws(Fault) -> Number {
        switch self.message[key] {
        case nil, .null?: return 0
        case .int(let value)?:
            if let number = Number(exactly: value) { return number }
        case .uint(let value)?:
            if let number = Number(exactly: value) { return number }
        default: break
        }
        throw Fault(key: key)
    }

    func count(_ key: String) throws(Fault) -> Int { max(try self.integer(key, Int.self), 0) }

    func flag(_ key: String) throws(Fault) -> Bool {
        switch self.message[key] {
        case nil, .null?: return false
        case .bool(let value)?: return value
        default: throw Fault(key: key)
        }
    }

    func texts(_ key: String, limit: Int) throws(Fault) -> [String] {
        guard let value = self.message[key] else { return [] }
        guard case .array(let elements) = value, elements.count <= limit else { throw Fault(key: key) }
        var texts: [String] = []
        for element in elements {
            guard case .string(let text) = element, text.utf8.count <= Self.textLimit else { throw Fault(key: key) }
            texts.append(text)
        }
        return texts
    }

    /// JSON that travels as a text, so that it comes out as it went in; `nil` when there is none.
    func json(_ key: String, isObject: Bool = false) throws(Fault) -> ByteBuffer? {
        let text = try self.text(key, limit: Self.payloadLimit)
        guard !text.isEmpty else { return nil }
        guard let json = try? JSONText(validating: ByteBuffer(string: text)), !isObject || json.isObject else {
            throw Fault(key: key)
        }
        return json.bytes
    }

    /// The entries of a map with text keys.
    func map(_ key: String, limit: Int) throws(Fault) -> [(key: String, value: LayerValue)] {
        guard case .map(let entries)? = self.message[key], entries.count <= limit else { throw Fault(key: key) }
        var pairs: [(key: String, value: LayerValue)] = []
        pairs.reserveCapacity(entries.count)
        for entry in entries {
            guard case .string(let name) = entry.key, name.utf8.count <= Self.textLimit else { throw Fault(key: key) }
            pairs.append((name, entry.value))
        }
        return pairs
    }
}

extension LayerMessage {
    /// Adds what is not empty, 0 or `false`: those are what a missing entry means.
    mutating func add(_ key: String, _ text: String) { if !text.isEmpty { self.append(key, .string(text)) } }
    mutating func add(_ key: String, _ flag: Bool) { if flag { self.append(key, .bool(true)) } }
    mutating func add(_ key: String, _ number: some FixedWidthInteger) {
        if let small = Int64(exactly: number) {
            if small != 0 { self.append(key, .int(small)) }
        } else if let large = UInt64(exactly: number) {
            self.append(key, .uint(large))
        }
    }
    mutating func add(_ key: String, json: ByteBuffer?) {
        if let json { self.append(key, .string(String(buffer: json))) }
    }
    mutating func append(_ key: String, _ value: LayerValue) {
        self.entries.append(LayerValue.Entry(key: .string(key), value: value))
    }
}
