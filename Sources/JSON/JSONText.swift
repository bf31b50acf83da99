public import NIOCore

/// JSON text that was checked once: well-formed (RFC 8259), valid UTF-8, bounded depth. Kept as its bytes.
public struct JSONText: Sendable, Hashable {
    /// The text, without white space around it.
    public let bytes: ByteBuffer

    /// How many arrays and objects may be open at once: half of what a message may have, so that it has room around
    /// the text.
    public static let maximumDepth = 64

    /// - Parameter depth: how many arrays and objects may be open at once; more than `maximumDepth` counts as that.
    /// - Throws: `JSONError` with the offset of the first byte that cannot stand.
    /// - Complexity: one pass over the bytes, no allocation.
    public init(validating bytes: ByteBuffer, depth: Int = JSONText.maximumDepth) throws(JSONError) {
        let options = JSONReader.Options(depth: min(depth, Self.maximumDepth))
        let range = try JSONReader.read(bytes, options: options) { reader throws(JSONError) in
            let range = try reader.skipValue()
            _ = try reader.nextPiece()
            return range
        }
        self.bytes = bytes.getSlice(at: bytes.readerIndex &+ range.lowerBound, length: range.count) ?? ByteBuffer()
    }

    /// Text that is known to be JSON: a part of one that was checked, or what a writer of ours made.
    package init(unchecked bytes: ByteBuffer) { self.bytes = bytes }

    /// Whether it is a string.
    public var isString: Bool { self.first == UInt8(ascii: "\"") }

    /// Whether it is an object.
    public var isObject: Bool { self.first == UInt8(ascii: "{") }

    /// Whether it is an array.
    public var isArray: Bool { self.first == UInt8(ascii: "[") }

    /// Whether it is `null`.
    public var isNull: Bool { self.first == UInt8(ascii: "n") }

    /// The text it says when it is a string.
    public var stringValue: String? {
        guard self.isString else { return nil }
        return try? JSONReader.read(self.bytes) { reader throws(JSONError) in
            guard case .string(let text)? = try reader.nextPiece() else { return nil }
            return reader.string(text)
        }
    }

    /// The value under `key` of an object, as it stands there; of a key that appears twice the last one.
    ///
    /// - Complexity: one pass over the bytes, no allocation, and a slice of the same storage.
    public func field(_ key: String) -> JSONText? {
        guard self.isObject else { return nil }
        let found = try? JSONReader.read(self.bytes) { reader throws(JSONError) -> Range<Int>? in
            var found: Range<Int>?
            _ = try reader.nextPiece()
            while case .key(let name)? = try reader.nextPiece() {
                let isWanted = reader.matches(name, key)
                let range = try reader.skipValue()
                if isWanted { found = range }
            }
            return found
        }
        guard let range = found ?? nil else { return nil }
        return self.bytes.getSlice(at: self.bytes.readerIndex &+ range.lowerBound, length: range.count)
            .map(JSONText.init(unchecked:))
    }

    private var first: UInt8? { self.bytes.getInteger(at: self.bytes.readerIndex, as: UInt8.self) }
}
