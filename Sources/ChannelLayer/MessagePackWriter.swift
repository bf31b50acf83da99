package import JSON
public import NIOCore

extension LayerMessage {
    /// Appends the MessagePack form, byte for byte as Python's `msgpack` writes it: the smallest integers, floats of 64
    /// bits, `str` for text, `bin` for bytes, keys in their order.
    ///
    /// - Throws: `invalidMessage` for a text, array or map that is longer than 2^32 - 1.
    public func encodeMessagePack(into buffer: inout ByteBuffer) throws(LayerError) {
        try MessagePackWriter.write(map: self.entries, into: &buffer)
    }
}

enum MessagePackWriter {
    static func write(map entries: [LayerValue.Entry], into buffer: inout ByteBuffer) throws(LayerError) {
        try Self.writeHead(entries.count, fix: 0x80, fixLimit: 16, wide: 0xDE, into: &buffer)
        for entry in entries {
            try Self.write(entry.key, into: &buffer)
            try Self.write(entry.value, into: &buffer)
        }
    }

    /// Recursion is as deep as the value, which decoders bound and applications build by hand.
    static func write(_ value: LayerValue, into buffer: inout ByteBuffer) throws(LayerError) {
        switch value {
        case .null: buffer.writeInteger(UInt8(0xC0))
        case .bool(let value): buffer.writeInteger(UInt8(value ? 0xC3 : 0xC2))
        case .int(let value): Self.write(value, into: &buffer)
        case .uint(let value): Self.write(value, into: &buffer)
        case .double(let value): buffer.writeMultipleIntegers(UInt8(0xCB), value.bitPattern)
        case .string(let text):
            try Self.writeTextHead(text.utf8.count, into: &buffer)
            buffer.writeString(text)
        case .bytes(let bytes):
            try Self.writeBytesHead(bytes.readableBytes, into: &buffer)
            buffer.writeImmutableBuffer(bytes)
        case .array(let elements):
            try Self.writeHead(elements.count, fix: 0x90, fixLimit: 16, wide: 0xDC, into: &buffer)
            for element in elements { try Self.write(element, into: &buffer) }
        case .map(let entries): try Self.write(map: entries, into: &buffer)
        case .ext(let type, let bytes): try Self.writeExtension(type, bytes, into: &buffer)
        case .json(let text): try Self.write(text, into: &buffer)
        }
    }

    private static func write(_ value: Int64, into buffer: inout ByteBuffer) {
        guard value < 0 else {
            Self.write(UInt64(value), into: &buffer)
            return
        }
        if value >= -32 {
            buffer.writeInteger(Int8(value))
        } else if let small = Int8(exactly: value) {
            buffer.writeMultipleIntegers(UInt8(0xD0), small)
        } else if let small = Int16(exactly: value) {
            buffer.writeMultipleIntegers(UInt8(0xD1), small)
        } else if let small = Int32(exactly: value) {
            buffer.writeMultipleIntegers(UInt8(0xD2), small)
        } else {
            buffer.writeMultipleIntegers(UInt8(0xD3), value)
        }
    }

    private static func write(_ value: UInt64, into buffer: inout ByteBuffer) {
        if value < 128 {
            buffer.writeInteger(UInt8(value))
        } else if let small = UInt8(exactly: value) {
            buffer.writeMultipleIntegers(UInt8(0xCC), small)
        } else if let small = UInt16(exactly: value) {
            buffer.writeMultipleIntegers(UInt8(0xCD), small)
        } else if let small = UInt32(exactly: value) {
            buffer.writeMultipleIntegers(UInt8(0xCE), small)
        } else {
            buffer.writeMultipleIntegers(UInt8(0xCF), value)
        }
    }

    private static func writeTextHead(_ count: Int, into buffer: inout ByteBuffer) throws(LayerError) {
        if count < 32 {
            buffer.writeInteger(0xA0 | UInt8(count))
        } else if let small = UInt8(exactly: count) {
            buffer.writeMultipleIntegers(UInt8(0xD9), small)
        } else {
            try Self.writeWide(count, 0xDA, into: &buffer)
        }
    }

    private static func writeBytesHead(_ count: Int, into buffer: inout ByteBuffer) throws(LayerError) {
        if let small = UInt8(exactly: count) {
            buffer.writeMultipleIntegers(UInt8(0xC4), small)
        } else {
            try Self.writeWide(count, 0xC5, into: &buffer)
        }
    }

    /// The head of an array or map.
    private static func writeHead(
        _ count: Int, fix: UInt8, fixLimit: Int, wide: UInt8, into buffer: inout ByteBuffer
    ) throws(LayerError) {
        if count < fixLimit {
            buffer.writeInteger(fix | UInt8(count))
        } else {
            try Self.writeWide(count, wide, into: &buffer)
        }
    }

    /// A length in 16 bits under `code`, or in 32 under the code after it.
    private static func writeWide(_ count: Int, _ code: UInt8, into buffer: inout ByteBuffer) throws(LayerError) {
        if let small = UInt16(exactly: count) {
            buffer.writeMultipleIntegers(code, small)
        } else if let wide = UInt32(exactly: count) {
            buffer.writeMultipleIntegers(code &+ 1, wide)
        } else {
            throw LayerError(.invalidMessage, "\(count) bytes or elements in one value; MessagePack carries 4294967295")
        }
    }

    private static func writeExtension(
        _ type: Int8, _ bytes: ByteBuffer, into buffer: inout ByteBuffer
    ) throws(LayerError) {
        switch bytes.readableBytes {
        case 1: buffer.writeInteger(UInt8(0xD4))
        case 2: buffer.writeInteger(UInt8(0xD5))
        case 4: buffer.writeInteger(UInt8(0xD6))
        case 8: buffer.writeInteger(UInt8(0xD7))
        case 16: buffer.writeInteger(UInt8(0xD8))
        case let count:
            if let small = UInt8(exactly: count) {
                buffer.writeMultipleIntegers(UInt8(0xC7), small)
            } else {
                try Self.writeWide(count, 0xC8, into: &buffer)
            }
        }
        buffer.writeInteger(type)
        buffer.writeImmutableBuffer(bytes)
    }

    /// JSON text as the values it says.
    private static func write(_ text: JSONText, into buffer: inout ByteBuffer) throws(LayerError) {
        let tree: JSONValue
        do {
            tree = try JSONValue(parsing: text.bytes)
        } catch {
            throw LayerError(.invalidMessage, "the JSON text cannot be read: \(error)")
        }
        try Self.write(LayerValue(tree), into: &buffer)
    }
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
