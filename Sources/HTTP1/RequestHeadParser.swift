public import NIOCore

/// Bytes in, request heads out. A value without I/O; one per connection, used again for every request.
///
/// Each byte is looked at once, however the bytes come, and the outcome does not depend on how they come. Nothing is kept
/// but places: the caller holds the bytes, and only adds to them while the answer is `nil`.
public struct RequestHeadParser: Sendable {
    private enum Phase: UInt8 { case start, line, fields }

    private let limits: HeadLimits
    private var phase = Phase.start
    private var skippedEmptyLine = false
    private var line = RequestLine()
    private var section = FieldSection()

    public init(limits: HeadLimits = .init()) { self.limits = limits.sane }

    /// The next head; `nil` when it has not all come. Nothing is consumed before it has, but one empty line in front,
    /// which old clients send after a body (RFC 9112 section 2.2).
    ///
    /// - Parameter buffer: what has come and was not consumed; the head's bytes are taken from it, and shared, not copied.
    /// - Returns: a head that has passed all checks; see `RequestHead`. Its framing is known to be right.
    /// - Throws: what is wrong; the connection cannot be used further.
    public mutating func parse(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> RequestHead? {
        if self.phase == .start {
            guard try self.begin(&buffer) else { return nil }
        }
        var parts: (method: String, target: String) = ("", "")
        let isComplete = try buffer.withUnsafeReadableBytes { bytes throws(HTTP1Error) in
            if self.phase == .line {
                guard try self.line.advance(bytes, limits: self.limits) else { return false }
                parts = try self.readLine(bytes)
                self.section = FieldSection(from: self.line.cursor)
                self.phase = .fields
                return try self.section.advance(bytes, limits: self.limits)
            }
            guard try self.section.advance(bytes, limits: self.limits) else { return false }
            parts = try self.readLine(bytes)
            return true
        }
        guard isComplete, let slice = buffer.readSlice(length: self.section.cursor) else { return nil }
        let head = RequestHead(
            method: parts.method, target: parts.target, version: self.line.version,
            fields: HeaderFields(
                bytes: slice, places: self.section.places, present: self.section.present,
                repeated: self.section.repeated))
        self = RequestHeadParser(sane: self.limits)
        try head.checkHost()
        _ = try head.framing()
        return head
    }

    private init(sane limits: HeadLimits) { self.limits = limits }

    private func readLine(_ bytes: UnsafeRawBufferPointer) throws(HTTP1Error) -> (method: String, target: String) {
        let method = try self.line.method(bytes)
        return (method, try self.line.target(bytes, method: method))
    }

    /// Passes over one empty line.
    ///
    /// - Returns: whether the first byte of a head is there.
    private mutating func begin(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> Bool {
        guard let first = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) else { return false }
        if first == 0x0D, !self.skippedEmptyLine {
            guard let second = buffer.getInteger(at: buffer.readerIndex &+ 1, as: UInt8.self) else { return false }
            guard second == 0x0A else { throw HTTP1Error(.badRequestLine, "The request begins with a CR without LF.") }
            buffer.moveReaderIndex(forwardBy: 2)
            self.skippedEmptyLine = true
            guard buffer.readableBytes > 0 else { return false }
        }
        self.phase = .line
        return true
    }
}
