public import NIOCore

/// What is wrong with bytes that should be a MessagePack message, and where.
public struct MessagePackError: Error, Sendable, Equatable, CustomStringConvertible {
    public let message: String
    /// Bytes from the beginning.
    public let offset: Int
    public var description: String { "\(self.message) at byte \(self.offset)" }
}

/// Bounds for what is read from others.
public struct MessagePackLimits: Sendable {
    /// How many arrays and maps may be open at once.
    public var depth = 64
    /// Bytes of the whole message.
    public var bytes = 16 << 20

    public init(depth: Int = 64, bytes: Int = 16 << 20) {
        self.depth = depth
        self.bytes = bytes
    }
}

extension LayerMessage {
    /// Reads a message: one map with text keys, and nothing after it.
    ///
    /// All that MessagePack has is read, in any width. Text that is not UTF-8, which old writers used for bytes, becomes
    /// bytes; extensions stay opaque. A key that is `bin` becomes text when it is UTF-8, as Python has it.
    public init(messagePack: ByteBuffer, limits: MessagePackLimits = .init()) throws(MessagePackError) {
        var reader = MessagePackReader(messagePack, depth: limits.depth)
        guard messagePack.readableBytes <= limits.bytes else {
            throw MessagePackError(message: "\(messagePack.readableBytes) bytes, at most \(limits.bytes)", offset: 0)
        }
        guard case .map(let entries) = try reader.value() else {
            throw MessagePackError(message: "a message is a map", offset: 0)
        }
        guard reader.isAtEnd else { throw reader.fault("found more after the end of the message") }
        self.entries = entries
        for index in self.entries.indices {
            switch self.entries[index].key {
            case .string: break
            case .bytes(let bytes):
                guard let text = bytes.getString(at: bytes.readerIndex, length: bytes.readableBytes, validating: true) else {
                    throw MessagePackError(message: "a key is not text", offset: 0)
                }
                self.entries[index].key = .string(text)
            default: throw MessagePackError(message: "a key is not text", offset: 0)
            }
        }
    }
}

struct MessagePackReader {
    private var bytes: ByteBuffer
    private let start: Int
    private let depth: Int

    init(_ bytes: ByteBuffer, depth: Int) {
        self.bytes = bytes
        self.start = bytes.readerIndex
        self.depth = depth
    }

    var isAtEnd: Bool { self.bytes.readableBytes == 0 }

    func fault(_ message: String) -> MessagePackError {
        MessagePackError(message: message, offset: self.bytes.readerIndex &- self.start)
    }

    mutating func value(level: Int = 0) throws(MessagePackError) -> LayerValue {
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
        default: throw self.fault("code C1 is never used")
        }
    }

    private mutating func map(_ count: Int, _ level: Int) throws(MessagePackError) -> LayerValue {
        // An entry is two bytes at the least: a larger count is a lie, found before room is made for it.
        try self.check(count, bytesEach: 2, level)
        var entries: [LayerValue.Entry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count {
            let key = try self.value(level: level &+ 1)
            entries.append(LayerValue.Entry(key: key, value: try self.value(level: level &+ 1)))
        }
        return .map(entries)
    }

    private mutating func array(_ count: Int, _ level: Int) throws(MessagePackError) -> LayerValue {
        try self.check(count, bytesEach: 1, level)
        var elements: [LayerValue] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try self.value(level: level &+ 1)) }
        return .array(elements)
    }

    private func check(_ count: Int, bytesEach: Int, _ level: Int) throws(MessagePackError) {
        guard level < self.depth else { throw self.fault("nested deeper than \(self.depth)") }
        guard count <= self.bytes.readableBytes / bytesEach else {
            throw self.fault("\(count) elements announced, the message ends before")
        }
    }

    private mutating func text(_ count: Int) throws(MessagePackError) -> LayerValue {
        let bytes = try self.slice(count)
        guard let text = bytes.getString(at: bytes.readerIndex, length: count, validating: true) else {
            return .bytes(bytes)
        }
        return .string(text)
    }

    private mutating func ext(_ count: Int) throws(MessagePackError) -> LayerValue {
        let type = try self.integer(Int8.self)
        return .ext(type: type, try self.slice(count))
    }

    private mutating func slice(_ count: Int) throws(MessagePackError) -> ByteBuffer {
        guard let slice = self.bytes.readSlice(length: count) else {
            throw self.fault("\(count) bytes announced, the message ends before")
        }
        return slice
    }

    private mutating func integer<Value: FixedWidthInteger>(_ type: Value.Type) throws(MessagePackError) -> Value {
        guard let value = self.bytes.readInteger(as: type) else { throw self.fault("the message ends too early") }
        return value
    }
}

extension ByteBuffer {
    /// The text at `index`, or `nil` when it is not UTF-8.
    fileprivate func getString(at index: Int, length: Int, validating: Bool) -> String? {
        guard length > 0 else { return "" }
        return self.withUnsafeReadableBytes { bytes -> String? in
            let offset = index - self.readerIndex
            guard offset >= 0, offset + length <= bytes.count else { return nil }
            return String(validating: bytes[offset..<(offset + length)], as: UTF8.self)
        }
    }
}
