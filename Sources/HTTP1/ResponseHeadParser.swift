public import NIOCore

/// Bytes in, response heads out. A value without I/O; one per connection, used again for every response.
///
/// Each byte is looked at once, however the bytes come, and the outcome does not depend on how they come.
public struct ResponseHeadParser: Sendable {
    private enum Phase: UInt8 { case line, fields }

    private let limits: HeadLimits
    private var phase = Phase.line
    private var line = StatusLine()
    private var section = FieldSection()

    /// - Parameter limits: `targetBytes` means nothing here.
    public init(limits: HeadLimits = .init()) { self.limits = limits.sane }

    private init(sane limits: HeadLimits) { self.limits = limits }

    /// The next head; `nil` when it has not all come. Nothing is consumed before it has.
    ///
    /// - Parameter buffer: what has come and was not consumed; the head's bytes are taken from it, and shared, not copied.
    /// - Throws: what is wrong, always with status 502: the connection cannot be used further.
    public mutating func parse(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> ResponseHead? {
        do throws(HTTP1Error) {
            return try self.parseHead(&buffer)
        } catch {
            throw error.ofUpstream
        }
    }

    private mutating func parseHead(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> ResponseHead? {
        var reason = ""
        let isComplete = try buffer.withUnsafeReadableBytes { bytes throws(HTTP1Error) in
            if self.phase == .line {
                guard try self.line.advance(bytes, limits: self.limits) else { return false }
                self.section = FieldSection(from: self.line.cursor)
                self.phase = .fields
            }
            guard try self.section.advance(bytes, limits: self.limits) else { return false }
            reason = self.line.reason(bytes)
            return true
        }
        guard isComplete, let slice = buffer.readSlice(length: self.section.cursor) else { return nil }
        let head = ResponseHead(
            version: self.line.version, status: self.line.status, reason: reason,
            fields: HeaderFields(
                bytes: slice, places: self.section.places, present: self.section.present,
                repeated: self.section.repeated))
        self = ResponseHeadParser(sane: self.limits)
        _ = try head.declaredFraming()
        return head
    }
}
