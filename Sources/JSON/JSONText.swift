public import NIOCore

/// JSON text that was checked once: well-formed (RFC 8259), valid UTF-8, bounded depth. Kept as its bytes.
public struct JSONText: Sendable, Hashable {
    /// The text, without white space around it.
    public let bytes: ByteBuffer

    /// - Parameter depth: how many arrays and objects may be open at once, at most 64.
    /// - Throws: `JSONError` with the offset of the first byte that cannot stand.
    /// - Complexity: one pass over the bytes, no allocation.
    public init(validating bytes: ByteBuffer, depth: Int = 64) throws(JSONError) {
        let outcome = bytes.withUnsafeReadableBytes { bytes -> Result<Range<Int>, JSONError> in
            do throws(JSONError) {
                return .success(try JSONChecker.check(bytes, depth: min(depth, 64)))
            } catch {
                return .failure(error)
            }
        }
        let range = try outcome.get()
        self.bytes = bytes.getSlice(at: bytes.readerIndex &+ range.lowerBound, length: range.count) ?? ByteBuffer()
    }

    /// Text that is known to be JSON: a part of one that was checked, or what a writer of ours made.
    package init(unchecked bytes: ByteBuffer) { self.bytes = bytes }

    /// Whether it is a string.
    public var isString: Bool { self.first == UInt8(ascii: "\"") }

    /// Whether it is an object.
    public var isObject: Bool { self.first == UInt8(ascii: "{") }

    /// The text it says when it is a string.
    public var stringValue: String? {
        guard self.isString else { return nil }
        return self.bytes.withUnsafeReadableBytes {
            guard $0.count >= 2 else { return nil }
            return JSONScan.unescape(UnsafeRawBufferPointer(rebasing: $0[1..<($0.count &- 1)]))
        }
    }

    /// The value under `key` of an object, as it stands there; of a key that appears twice the last one.
    public func field(_ key: String) -> JSONText? {
        guard self.isObject else { return nil }
        let found = try? JSONReader.read(self.bytes) { reader throws(JSONError) -> Range<Int>? in
            var found: Range<Int>?
            _ = try reader.next()
            while case .key(let name)? = try reader.next() {
                let range = try reader.skipValue()
                if name == key { found = range }
            }
            return found
        }
        guard let range = found ?? nil else { return nil }
        return self.bytes.getSlice(at: self.bytes.readerIndex &+ range.lowerBound, length: range.count)
            .map(JSONText.init(unchecked:))
    }

    private var first: UInt8? { self.bytes.getInteger(at: self.bytes.readerIndex, as: UInt8.self) }
}

/// What is wrong with a JSON text, and where.
public struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was found and what was wanted.
    public let message: String
    /// Bytes from the beginning.
    public let offset: Int

    public init(_ message: String, at offset: Int) {
        self.message = message
        self.offset = offset
    }

    public var description: String { "\(self.message) at byte \(self.offset)" }
}
