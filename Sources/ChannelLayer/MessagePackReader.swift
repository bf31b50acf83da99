import NIOCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Reads MessagePack values, whatever the bytes. Lives for the time of one closure over them.
struct MessagePackReader {
    private let bytes: UnsafeRawBufferPointer
    /// The same bytes, for slices.
    private let buffer: ByteBuffer
    private let depth: Int
    private var offset = 0
    private var valuesLeft: Int
    private let valueLimit: Int

    init(_ bytes: UnsafeRawBufferPointer, of buffer: ByteBuffer, _ limits: MessagePackLimits) {
        self.bytes = bytes
        self.buffer = buffer
        self.depth = min(limits.depth, LayerValue.maximumDepth)
        self.valuesLeft = limits.values
        self.valueLimit = limits.values
    }

    /// One map with text keys, and nothing after it.
    mutating func message() throws(MessagePackError) -> [LayerValue.Entry] {
        let code = try self.integer(UInt8.self)
        let count: Int
        switch code {
        case 0x80...0x8F: count = Int(code & 0x0F)
        case 0xDE: count = Int(try self.integer(UInt16.self))
        case 0xDF: count = Int(try self.integer(UInt32.self))
        default: throw MessagePackError("a message is a map", at: 0)
        }
        try self.check(count, valuesEach: 2, level: 0)
        var entries: [LayerValue.Entry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count {
            let key = try self.messageKey()
            entries.append(LayerValue.Entry(key: .string(key), value: try self.value(level: 1)))
        }
        guard self.remaining == 0 else { throw self.fault("found more after the end of the message") }
        return entries
    }

    /// Text, or bytes that are text.
    private mutating func messageKey() throws(MessagePackError) -> String {
        let start = self.offset
        switch try self.value(level: 1) {
        case .string(let key): return key
        case .bytes(let bytes):
            if let key = bytes.withUnsafeReadableBytes({ Self.validText($0) }) { return key }
        default: break
        }
        throw MessagePackError("a key of the message is not text", at: start)
    }

    private var remaining: Int { self.bytes.count &- self.offset }

    private func fault(_ message: String) -> MessagePackError { MessagePackError(message, at: self.offset) }

    // MARK: Values

    /// Recursion is bounded by `depth`.
    private mutating func value(level: Int) throws(MessagePackError) -> LayerValue {
        let code = try self.integer(UInt8.self)
        switch code {
        case 0x00...0x7F: return .int(Int64(code))
        case 0x80...0x8F: return try self.map(Int(code & 0x0F), level)
        case 0x90...0x9F: return try self.array(Int(code & 0x0F), level)
        case 0xA0...0xBF: return try self.text(Int(code & 0x1F))
        case 0xC0: return .null
        case 0xC2: return .bool(false)
        case 0xC3: return .bool(true)
        case 0xC4: return .bytes(try self.slice(Int(try self.integer(UInt8.self))))
        case 0xC5: return .bytes(try self.slice(Int(try self.integer(UInt16.self))))
        case 0xC6: return .bytes(try self.slice(Int(try self.integer(UInt32.self))))
        case 0xC7: return try self.ext(Int(try self.integer(UInt8.self)))
        case 0xC8: return try self.ext(Int(try self.integer(UInt16.self)))
        case 0xC9: return try self.ext(Int(try self.integer(UInt32.self)))
        case 0xCA: return .double(Double(Float(bitPattern: try self.integer(UInt32.self))))
        case 0xCB: return .double(Double(bitPattern: try self.integer(UInt64.self)))
        case 0xCC: return .int(Int64(try self.integer(UInt8.self)))
        case 0xCD: return .int(Int64(try self.integer(UInt16.self)))
        case 0xCE: return .int(Int64(try self.integer(UInt32.self)))
        case 0xCF:
            let value = try self.integer(UInt64.self)
            return Int64(exactly: value).map(LayerValue.int) ?? .uint(value)
        case 0xD0: return .int(Int64(try self.integer(Int8.self)))
        case 0xD1: return .int(Int64(try self.integer(Int16.self)))
        case 0xD2: return .int(Int64(try self.integer(Int32.self)))
        case 0xD3: return .int(try self.integer(Int64.self))
        case 0xD4...0xD8: return try self.ext(1 << Int(code &- 0xD4))
        case 0xD9: return try self.text(Int(try self.integer(UInt8.self)))
        case 0xDA: return try self.text(Int(try self.integer(UInt16.self)))
        case 0xDB: return try self.text(Int(try self.integer(UInt32.self)))
        case 0xDC: return try self.array(Int(try self.integer(UInt16.self)), level)
        case 0xDD: return try self.array(Int(try self.integer(UInt32.self)), level)
        case 0xDE: return try self.map(Int(try self.integer(UInt16.self)), level)
        case 0xDF: return try self.map(Int(try self.integer(UInt32.self)), level)
        case 0xE0...0xFF: return .int(Int64(Int8(bitPattern: code)))
        default: throw MessagePackError("code C1 is never used", at: self.offset &- 1)
        }
    }

    private mutating func map(_ count: Int, _ level: Int) throws(MessagePackError) -> LayerValue {
        try self.check(count, valuesEach: 2, level: level)
        var entries: [LayerValue.Entry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count {
            let key = try self.value(level: level &+ 1)
            entries.append(LayerValue.Entry(key: key, value: try self.value(level: level &+ 1)))
        }
        return .map(entries)
    }

    private mutating func array(_ count: Int, _ level: Int) throws(MessagePackError) -> LayerValue {
        try self.check(count, valuesEach: 1, level: level)
        var elements: [LayerValue] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try self.value(level: level &+ 1)) }
        return .array(elements)
    }

    /// A value is one byte at the least: a larger count is a lie, found before room is made for it.
    private mutating func check(_ count: Int, valuesEach: Int, level: Int) throws(MessagePackError) {
        guard level < self.depth else { throw self.fault("nested deeper than \(self.depth)") }
        guard count <= self.remaining / valuesEach else {
            throw self.fault("\(count) elements announced, the message ends before")
        }
        // Cannot overflow: no more than `remaining`.
        self.valuesLeft &-= count &* valuesEach
        guard self.valuesLeft >= 0 else { throw self.fault("more than \(self.valueLimit) values") }
    }

    private mutating func text(_ count: Int) throws(MessagePackError) -> LayerValue {
        let start = self.offset
        try self.skip(count)
        let text = UnsafeRawBufferPointer(rebasing: self.bytes[start..<self.offset])
        if let text = Self.validText(text) { return .string(text) }
        return .bytes(self.slice(from: start))
    }

    /// `nil` when the bytes are not UTF-8. Decoding repairs what is not, so what was valid is what comes out unchanged;
    /// this is several times faster than `String(validating:as:)`, which is not specialized.
    private static func validText(_ bytes: UnsafeRawBufferPointer) -> String? {
        var text = String(decoding: bytes, as: UTF8.self)
        let isUnchanged = text.withUTF8 { decoded in
            guard decoded.count == bytes.count else { return false }
            guard let left = decoded.baseAddress, let right = bytes.baseAddress else { return bytes.isEmpty }
            return memcmp(left, right, bytes.count) == 0
        }
        return isUnchanged ? text : nil
    }

    private mutating func ext(_ count: Int) throws(MessagePackError) -> LayerValue {
        let type = try self.integer(Int8.self)
        return .ext(type: type, try self.slice(count))
    }

    private mutating func slice(_ count: Int) throws(MessagePackError) -> ByteBuffer {
        let start = self.offset
        try self.skip(count)
        return self.slice(from: start)
    }

    /// What was read since `start`.
    private func slice(from start: Int) -> ByteBuffer {
        self.buffer.getSlice(at: self.buffer.readerIndex &+ start, length: self.offset &- start) ?? ByteBuffer()
    }

    private mutating func skip(_ count: Int) throws(MessagePackError) {
        guard count <= self.remaining else { throw self.fault("\(count) bytes announced, the message ends before") }
        self.offset &+= count
    }

    private mutating func integer<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type
    ) throws(MessagePackError) -> Value {
        guard MemoryLayout<Value>.size <= self.remaining else { throw self.fault("the message ends too early") }
        let value = self.bytes.loadUnaligned(fromByteOffset: self.offset, as: type)
        self.offset &+= MemoryLayout<Value>.size
        return Value(bigEndian: value)
    }
}
