public import NIOCore

extension LayerMessage {
    /// Appends the MessagePack form, byte for byte as Python's `msgpack` writes it: the smallest integers, floats of 64
    /// bits, `str` for text, `bin` for bytes, keys in their order. JSON text goes in as the values it says.
    ///
    /// - Throws: `invalidMessage` for a map key that is neither text nor bytes (a Python peer could not read the whole
    ///   message), for more than 128 levels, for a number in JSON text that no double holds, and for a text, array or
    ///   map longer than 2^32 - 1. Nothing is written then.
    /// - Complexity: one pass over the values, without an allocation, when `buffer` has room; otherwise two.
    public func encodeMessagePack(into buffer: inout ByteBuffer) throws(LayerError) {
        var needed = 256
        var isDone = false
        while !isDone {
            var outcome: Result<MessagePackSink, LayerError>?
            buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: needed) { room in
                var writer = MessagePackWriter(sink: MessagePackSink(room))
                do throws(LayerError) {
                    try writer.write(map: self.entries, level: 0)
                    outcome = .success(writer.sink)
                    return writer.sink.isComplete ? writer.sink.count : 0
                } catch {
                    outcome = .failure(error)
                    return 0
                }
            }
            guard let sink = try outcome?.get() else { return }
            needed = sink.count
            isDone = sink.isComplete
        }
    }
}

/// MessagePack, the current specification (with `str 8` and `bin`), always in the shortest form.
struct MessagePackWriter {
    var sink: MessagePackSink

    /// - Parameter level: how many arrays and maps are open around the map. Bounds the recursion.
    mutating func write(map entries: [LayerValue.Entry], level: Int) throws(LayerError) {
        try Self.check(level: level)
        try self.writeHead(entries.count, fix: 0x80, wide: 0xDE)
        for index in entries.indices {
            switch entries[index].key {
            case .string(let key): try self.write(key)
            case .bytes(let key): try self.write(key)
            default: throw LayerError(.invalidMessage, "a map key is neither text nor bytes; write it as text")
            }
            try self.write(entries[index].value, level: level + 1)
        }
    }

    private mutating func write(_ value: LayerValue, level: Int) throws(LayerError) {
        switch value {
        case .null: self.sink.put(0xC0)
        case .bool(let value): self.write(value)
        case .int(let value): self.write(value)
        case .uint(let value): self.write(value)
        case .double(let value): self.write(value)
        case .string(let text): try self.write(text)
        case .bytes(let bytes): try self.write(bytes)
        case .array(let elements):
            try Self.check(level: level)
            try self.writeHead(elements.count, fix: 0x90, wide: 0xDC)
            for index in elements.indices { try self.write(elements[index], level: level + 1) }
        case .map(let entries): try self.write(map: entries, level: level)
        case .ext(let type, let bytes): try self.write(type, bytes)
        case .json(let text): try JSONTranscoder.write(text, to: &self)
        }
    }

    /// Whether one more array or map may be opened.
    static func check(level: Int) throws(LayerError) {
        guard level < LayerValue.maximumDepth else {
            throw LayerError(.invalidMessage, "the message is nested deeper than \(LayerValue.maximumDepth)")
        }
    }

    // MARK: Scalars

    mutating func write(_ value: Bool) { self.sink.put(value ? 0xC3 : 0xC2) }

    mutating func write(_ value: Double) { self.sink.put(0xCB, value.bitPattern) }

    mutating func write(_ value: Int64) {
        if value >= 0 {
            self.write(UInt64(value))
        } else if value >= -32 {
            self.sink.put(UInt8(bitPattern: Int8(value)))
        } else if let small = Int8(exactly: value) {
            self.sink.put(0xD0, small)
        } else if let small = Int16(exactly: value) {
            self.sink.put(0xD1, small)
        } else if let small = Int32(exactly: value) {
            self.sink.put(0xD2, small)
        } else {
            self.sink.put(0xD3, value)
        }
    }

    mutating func write(_ value: UInt64) {
        if value < 128 {
            self.sink.put(UInt8(value))
        } else if let small = UInt8(exactly: value) {
            self.sink.put(0xCC, small)
        } else if let small = UInt16(exactly: value) {
            self.sink.put(0xCD, small)
        } else if let small = UInt32(exactly: value) {
            self.sink.put(0xCE, small)
        } else {
            self.sink.put(0xCF, value)
        }
    }

    mutating func write(_ text: String) throws(LayerError) {
        var text = text
        try self.writeTextHead(text.utf8.count)
        text.withUTF8 { self.sink.put(UnsafeRawBufferPointer($0)) }
    }

    /// - Parameter text: valid UTF-8.
    mutating func write(text: UnsafeRawBufferPointer) throws(LayerError) {
        try self.writeTextHead(text.count)
        self.sink.put(text)
    }

    private mutating func write(_ bytes: ByteBuffer) throws(LayerError) {
        if let small = UInt8(exactly: bytes.readableBytes) {
            self.sink.put(0xC4, small)
        } else {
            try self.writeWide(bytes.readableBytes, 0xC5)
        }
        bytes.withUnsafeReadableBytes { self.sink.put($0) }
    }

    private mutating func write(_ type: Int8, _ bytes: ByteBuffer) throws(LayerError) {
        switch bytes.readableBytes {
        case 1: self.sink.put(0xD4)
        case 2: self.sink.put(0xD5)
        case 4: self.sink.put(0xD6)
        case 8: self.sink.put(0xD7)
        case 16: self.sink.put(0xD8)
        case let count:
            if let small = UInt8(exactly: count) {
                self.sink.put(0xC7, small)
            } else {
                try self.writeWide(count, 0xC8)
            }
        }
        self.sink.put(UInt8(bitPattern: type))
        bytes.withUnsafeReadableBytes { self.sink.put($0) }
    }

    // MARK: Heads

    private mutating func writeTextHead(_ count: Int) throws(LayerError) {
        if count < 32 {
            self.sink.put(0xA0 | UInt8(count))
        } else if let small = UInt8(exactly: count) {
            self.sink.put(0xD9, small)
        } else {
            try self.writeWide(count, 0xDA)
        }
    }

    /// The head of an array or map.
    private mutating func writeHead(_ count: Int, fix: UInt8, wide: UInt8) throws(LayerError) {
        if count < 16 {
            self.sink.put(fix | UInt8(count))
        } else {
            try self.writeWide(count, wide)
        }
    }

    /// A length in 16 bits under `code`, or in 32 under the code after it.
    private mutating func writeWide(_ count: Int, _ code: UInt8) throws(LayerError) {
        if let small = UInt16(exactly: count) {
            self.sink.put(code, small)
        } else if let wide = UInt32(exactly: count) {
            self.sink.put(code &+ 1, wide)
        } else {
            throw LayerError(.invalidMessage, "\(count) bytes or elements in one value; MessagePack carries 4294967295")
        }
    }
}
