import NIOCore

/// Why bytes from another gateway are not what they should be.
package struct SnapshotError: Error, Equatable, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}

/// Fields one after the other; what has no fixed length says it first.
extension ByteBuffer {
    mutating func writeField(_ value: Bool) { self.writeInteger(value ? UInt8(1) : 0) }

    mutating func writeField(_ value: Int) { self.writeInteger(Int64(value)) }

    mutating func writeField(_ value: ByteBuffer) {
        self.writeInteger(UInt32(clamping: value.readableBytes))
        self.writeImmutableBuffer(value)
    }

    mutating func writeField(_ value: String) {
        self.writeInteger(UInt32(clamping: value.utf8.count))
        self.writeString(value)
    }

    mutating func writeField(_ value: String?) {
        self.writeField(value != nil)
        if let value { self.writeField(value) }
    }

    mutating func writeField(_ values: [String]) {
        self.writeInteger(UInt32(clamping: values.count))
        for value in values { self.writeField(value) }
    }

    mutating func writeField(_ value: Int64?) {
        self.writeField(value != nil)
        if let value { self.writeInteger(value) }
    }

    mutating func integerField<Value: FixedWidthInteger>(
        as type: Value.Type = Value.self
    ) throws(SnapshotError) -> Value {
        guard let value = self.readInteger(as: type) else { throw SnapshotError("it ends inside a number") }
        return value
    }

    mutating func boolField() throws(SnapshotError) -> Bool {
        switch try self.integerField(as: UInt8.self) {
        case 0: return false
        case 1: return true
        case let byte: throw SnapshotError("\(byte) is no truth value")
        }
    }

    mutating func intField() throws(SnapshotError) -> Int { Int(clamping: try self.integerField(as: Int64.self)) }

    mutating func optionalIntegerField() throws(SnapshotError) -> Int64? {
        try self.boolField() ? try self.integerField() : nil
    }

    mutating func bytesField() throws(SnapshotError) -> ByteBuffer {
        let length = try self.integerField(as: UInt32.self)
        guard let bytes = self.readSlice(length: Int(length)) else { throw SnapshotError("it ends inside a text") }
        return bytes
    }

    mutating func stringField() throws(SnapshotError) -> String { String(buffer: try self.bytesField()) }

    mutating func optionalStringField() throws(SnapshotError) -> String? {
        try self.boolField() ? try self.stringField() : nil
    }

    mutating func stringsField() throws(SnapshotError) -> [String] {
        let count = try self.integerField(as: UInt32.self)
        // Each has at least its length, so that a wild count ends soon and reserves nothing.
        var values: [String] = []
        for _ in 0..<count { values.append(try self.stringField()) }
        return values
    }

    func endOfFields() throws(SnapshotError) {
        guard self.readableBytes == 0 else { throw SnapshotError("\(self.readableBytes) bytes stand after its end") }
    }
}
