public import NIOCore

extension LayerMessage {
    /// Appends the MessagePack form, byte for byte as Python's `msgpack` writes it: the smallest integers, floats of 64
    /// bits, `str` for text, `bin` for bytes, keys in their order. JSON text goes in as the values it says.
    ///
    /// - Throws: `invalidMessage` for a map key that is neither text nor bytes (a Python peer could not read the whole
    ///   message), for more than 128 levels, for a number in JSON text that no double holds, and for a text, array or
    ///   map longer than 2^32 - 1. Nothing is written then.
    public func encodeMessagePack(into buffer: inout ByteBuffer) throws(LayerError) {
        let start = buffer.writerIndex
        do throws(LayerError) {
            try MessagePackWriter.write(map: self.entries, level: 0, into: &buffer)
        } catch {
            buffer.moveWriterIndex(to: start)
            throw error
        }
    }
}

/// MessagePack, the current specification (with `str 8` and `bin`), always in the shortest form.
enum MessagePackWriter {
    /// - Parameter level: how many arrays and maps are open around the map.
    static func write(
        map entries: [LayerValue.Entry], level: Int, into buffer: inout ByteBuffer
    ) throws(LayerError) {
        try Self.check(level: level)
        try Self.writeHead(entries.count, fix: 0x80, fixLimit: 16, wide: 0xDE, into: &buffer)
        for entry in entries {
            switch entry.key {
            case .string(let key): try Self.write(key, into: &buffer)
            case .bytes(let key): try Self.write(key, into: &buffer)
            default:
                throw LayerError(.invalidMessage, "a map key is neither text nor bytes; write it as text")
            }
            try Self.write(entry.value, level: level + 1, into: &buffer)
        }
    }

    static func write(_ value: LayerValue, level: Int, into buffer: inout ByteBuffer) throws(LayerError) {
        switch value {
        case .null: buffer.writeInteger(UInt8(0xC0))
        case .bool(let value): buffer.writeInteger(UInt8(value ? 0xC3 : 0xC2))
        case .int(let value): Self.write(value, into: &buffer)
        case .uint(let value): Self.write(value, into: &buffer)
        case .double(let value): buffer.writeMultipleIntegers(UInt8(0xCB), value.bitPattern)
        case .string(let text): try Self.write(text, into: &buffer)
        case .bytes(let bytes): try Self.write(bytes, into: &buffer)
        case .array(let elements):
            try Self.check(level: level)
            try Self.writeHead(elements.count, fix: 0x90, fixLimit: 16, wide: 0xDC, into: &buffer)
            for element in elements { try Self.write(element, level: level + 1, into: &buffer) }
        case .map(let entries): try Self.write(map: entries, level: level, into: &buffer)
        case .ext(let type, let bytes): try Self.write(type, bytes, into: &buffer)
        case .json(let text): try JSONTranscoder.write(text, into: &buffer)
        }
    }

    /// Whether one more array or map may be opened. Bounds the recursion of the writers.
    static func check(level: Int) throws(LayerError) {
        guard level < LayerValue.maximumDepth else {
            throw LayerError(.invalidMessage, "the message is nested deeper than \(LayerValue.maximumDepth)")
        }
    }

    // MARK: Scalars

    static func write(_ value: Int64, into buffer: inout ByteBuffer) {
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

    static func write(_ value: UInt64, into buffer: inout ByteBuffer) {
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

    static func write(_ text: String, into buffer: inout ByteBuffer) throws(LayerError) {
        try Self.writeTextHead(text.utf8.count, into: &buffer)
        buffer.writeString(text)
    }

    static func write(_ bytes: ByteBuffer, into buffer: inout ByteBuffer) throws(LayerError) {
        if let small = UInt8(exactly: bytes.readableBytes) {
            buffer.writeMultipleIntegers(UInt8(0xC4), small)
        } else {
            try Self.writeWide(bytes.readableBytes, 0xC5, into: &buffer)
        }
        buffer.writeImmutableBuffer(bytes)
    }

    private static func write(_ type: Int8, _ bytes: ByteBuffer, into buffer: inout ByteBuffer) throws(LayerError) {
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

    // MARK: Heads

    static func writeTextHead(_ count: Int, into buffer: inout ByteBuffer) throws(LayerError) {
        if count < 32 {
            buffer.writeInteger(0xA0 | UInt8(count))
        } else if let small = UInt8(exactly: count) {
            buffer.writeMultipleIntegers(UInt8(0xD9), small)
        } else {
            try Self.writeWide(count, 0xDA, into: &buffer)
        }
    }

    /// The head of an array or map.
    static func writeHead(
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
}
