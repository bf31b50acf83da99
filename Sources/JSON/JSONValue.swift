package import NIOCore

/// A JSON text as a tree. Objects keep their order, and every node knows where it stood, for messages with line numbers.
package struct JSONValue: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case null
        case bool(Bool)
        case integer(Int64)
        /// Only above `Int64.max`. An integer that even this cannot hold is a `double`.
        case unsigned(UInt64)
        case double(Double)
        case string(String)
        case array([JSONValue])
        case object([Member])
    }

    /// A key, where it stood, and its value.
    package struct Member: Sendable, Equatable {
        package var key: String
        package var keyOffset: Int
        package var value: JSONValue

        package init(key: String, keyOffset: Int = 0, value: JSONValue) {
            self.key = key
            self.keyOffset = keyOffset
            self.value = value
        }
    }

    package var kind: Kind
    /// Bytes from the beginning of the text to the value's first byte.
    package var offset: Int

    package init(_ kind: Kind, offset: Int = 0) {
        self.kind = kind
        self.offset = offset
    }

    /// Reads a whole text.
    package init(parsing text: ByteBuffer, options: JSONReader.Options = .init()) throws(JSONError) {
        self = try JSONReader.read(text, options: options) { reader throws(JSONError) -> JSONValue in
            guard let token = try reader.next() else { throw JSONError("expected a value", at: 0) }
            let value = try Self.value(token, &reader)
            _ = try reader.next()
            return value
        }
    }

    /// Recursion is bounded by the reader's depth.
    private static func value(_ token: JSONReader.Token, _ reader: inout JSONReader) throws(JSONError) -> JSONValue {
        let offset = reader.tokenOffset
        switch token {
        case .null: return JSONValue(.null, offset: offset)
        case .bool(let value): return JSONValue(.bool(value), offset: offset)
        case .integer(let value): return JSONValue(.integer(value), offset: offset)
        case .unsigned(let value): return JSONValue(.unsigned(value), offset: offset)
        case .double(let value): return JSONValue(.double(value), offset: offset)
        case .string(let value): return JSONValue(.string(value), offset: offset)
        case .beginArray:
            var elements: [JSONValue] = []
            while let token = try reader.next(), token != .endArray { elements.append(try Self.value(token, &reader)) }
            return JSONValue(.array(elements), offset: offset)
        case .beginObject:
            var members: [Member] = []
            while case .key(let key)? = try reader.next() {
                let keyOffset = reader.tokenOffset
                guard let token = try reader.next() else { throw JSONError("expected a value", at: reader.offset) }
                members.append(Member(key: key, keyOffset: keyOffset, value: try Self.value(token, &reader)))
            }
            return JSONValue(.object(members), offset: offset)
        case .key, .endArray, .endObject: throw JSONError("expected a value", at: offset)
        }
    }

    /// The value under `key` of an object; of a key that appears twice the last one.
    package subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self.kind else { return nil }
        return members.last { $0.key == key }?.value
    }

    package var string: String? { if case .string(let value) = self.kind { value } else { nil } }
    package var bool: Bool? { if case .bool(let value) = self.kind { value } else { nil } }
    package var integer: Int64? { if case .integer(let value) = self.kind { value } else { nil } }
    /// The number, of whatever kind, as a double.
    package var number: Double? {
        switch self.kind {
        case .integer(let value): Double(value)
        case .unsigned(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }
    package var array: [JSONValue]? { if case .array(let value) = self.kind { value } else { nil } }
    package var object: [Member]? { if case .object(let value) = self.kind { value } else { nil } }
    package var isNull: Bool { self.kind == .null }

    /// The line of `offset` in `text`, counted from 1.
    package static func line(of offset: Int, in text: ByteBuffer) -> Int {
        text.withUnsafeReadableBytes { bytes in
            1 + bytes.prefix(max(offset, 0)).reduce(0) { $1 == 0x0A ? $0 + 1 : $0 }
        }
    }
}
