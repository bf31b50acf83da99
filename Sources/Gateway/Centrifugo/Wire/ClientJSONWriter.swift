import ChannelLayer
import JSON
import NIOCore

/// Writes one object of the protocol as one line of JSON, leaving out what is empty.
struct ClientJSONWriter {
    private var buffer: ByteBuffer
    private var isFirst = true

    /// Writes an object behind what `frame` has.
    static func append(to frame: inout ByteBuffer, _ body: (inout Self) -> Void) {
        if frame.readableBytes > 0 { frame.writeInteger(UInt8(ascii: "\n")) }
        // Moved, not copied: the writer's must be the only one.
        var writer = ClientJSONWriter(buffer: frame)
        frame = ByteBuffer()
        writer.object(body)
        frame = writer.buffer
    }

    private init(buffer: ByteBuffer) { self.buffer = buffer }

    // MARK: Objects

    private mutating func object(_ body: (inout Self) -> Void) {
        self.buffer.writeInteger(UInt8(ascii: "{"))
        self.isFirst = true
        body(&self)
        self.buffer.writeInteger(UInt8(ascii: "}"))
        self.isFirst = false
    }

    mutating func object(_ key: StaticString, _ body: (inout Self) -> Void) {
        self.key(key)
        self.object(body)
    }

    mutating func object(_ key: String, _ body: (inout Self) -> Void) {
        self.separate()
        self.buffer.writeJSONString(key)
        self.buffer.writeInteger(UInt8(ascii: ":"))
        self.object(body)
    }

    mutating func array<Element>(
        _ key: StaticString, _ elements: [Element], _ body: (inout Self, Element) -> Void
    ) {
        self.key(key)
        self.array(elements, body)
    }

    private mutating func array<Element>(_ elements: [Element], _ body: (inout Self, Element) -> Void) {
        self.buffer.writeInteger(UInt8(ascii: "["))
        self.isFirst = true
        for element in elements {
            self.separate()
            self.object { body(&$0, element) }
        }
        self.buffer.writeInteger(UInt8(ascii: "]"))
        self.isFirst = false
    }

    /// An array of objects by itself, for `written`.
    static func array<Element>(_ elements: [Element], _ body: (inout Self, Element) -> Void) -> ByteBuffer {
        var writer = ClientJSONWriter(buffer: ByteBuffer())
        writer.array(elements, body)
        return writer.buffer
    }

    /// What was written before.
    mutating func written(_ key: StaticString, _ value: ByteBuffer) {
        self.key(key)
        self.buffer.writeImmutableBuffer(value)
    }

    // MARK: Fields

    /// Left out when empty.
    mutating func text(_ key: StaticString, _ value: String, always: Bool = false) {
        guard always || !value.isEmpty else { return }
        self.key(key)
        self.buffer.writeJSONString(value)
    }

    /// Of a map from text to text.
    mutating func member(_ key: String, _ value: String) {
        self.separate()
        self.buffer.writeJSONString(key)
        self.buffer.writeInteger(UInt8(ascii: ":"))
        self.buffer.writeJSONString(value)
    }

    /// Left out when 0.
    mutating func number(_ key: StaticString, _ value: some FixedWidthInteger, always: Bool = false) {
        guard always || value != 0 else { return }
        self.key(key)
        self.buffer.writeString(String(value))
    }

    /// Left out when `false`.
    mutating func flag(_ key: StaticString, _ value: Bool) {
        guard value else { return }
        self.key(key)
        self.buffer.writeStaticString("true")
    }

    /// Left out when there is none.
    mutating func data(_ key: StaticString, _ data: ClientData?) {
        guard let data else { return }
        self.key(key)
        self.buffer.writeImmutableBuffer(data.json)
    }

    private mutating func key(_ key: StaticString) {
        self.separate()
        self.buffer.writeInteger(UInt8(ascii: "\""))
        self.buffer.writeStaticString(key)
        self.buffer.writeStaticString("\":")
    }

    private mutating func separate() {
        if !self.isFirst { self.buffer.writeInteger(UInt8(ascii: ",")) }
        self.isFirst = false
    }
}
