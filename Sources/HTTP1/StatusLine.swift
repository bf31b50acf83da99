/// Reads `version SP status [SP reason] CRLF` (RFC 9112 section 4) as its bytes come; see `FieldSection`. The space before an
/// empty reason may be missing, as old servers have it.
struct StatusLine: Sendable {
    private enum Phase: UInt8 { case version, status, afterStatus, reason, lineEnd }

    private var phase = Phase.version
    private(set) var version = HTTPVersion.http11
    private(set) var status = 0
    private var digits = 0
    private var reasonStart: UInt32 = 0
    private var reasonEnd: UInt32 = 0
    /// The next byte to look at; after the line once it is complete.
    private(set) var cursor = 0

    /// - Returns: whether the line is complete.
    mutating func advance(_ bytes: UnsafeRawBufferPointer, limits: HeadLimits) throws(HTTP1Error) -> Bool {
        guard let base = bytes.baseAddress else { return false }
        let end = min(bytes.count, limits.headBytes)
        if self.phase == .version {
            guard let version = try HTTPVersion.read(base, from: 0, to: end, code: .badStatusLine) else {
                return try self.incomplete(end, limits)
            }
            self.version = version
            self.cursor = 8
            self.phase = .status
        }
        while self.cursor < end {
            // The reason may have come in pieces: it goes on where the last one ended.
            if self.phase == .reason {
                self.cursor = FieldBytes.endOfValue(base, from: self.cursor, to: end)
                guard self.cursor < end else { break }
            }
            let isComplete = try self.step(base.load(fromByteOffset: self.cursor, as: UInt8.self))
            self.cursor &+= 1
            if isComplete { return true }
        }
        return try self.incomplete(end, limits)
    }

    /// - Returns: whether `byte` ends the line.
    private mutating func step(_ byte: UInt8) throws(HTTP1Error) -> Bool {
        switch (self.phase, byte) {
        case (.status, 0x20) where self.cursor == 8: break
        case (.status, _) where self.cursor > 8 && FieldBytes.isDigit(byte) && (byte > 0x30 || self.digits > 0):
            self.status = self.status &* 10 &+ Int(byte &- 0x30)
            self.digits &+= 1
            if self.digits == 3 { self.phase = .afterStatus }
        case (.afterStatus, 0x20):
            self.phase = .reason
            self.reasonStart = UInt32(truncatingIfNeeded: self.cursor &+ 1)
        case (.afterStatus, 0x0D):
            self.reasonStart = UInt32(truncatingIfNeeded: self.cursor)
            self.reasonEnd = self.reasonStart
            self.phase = .lineEnd
        case (.reason, 0x0D):
            self.reasonEnd = UInt32(truncatingIfNeeded: self.cursor)
            self.phase = .lineEnd
        case (.lineEnd, 0x0A): return true
        default: throw HTTP1Error(.badStatusLine, "The status line is malformed.")
        }
        return false
    }

    private func incomplete(_ end: Int, _ limits: HeadLimits) throws(HTTP1Error) -> Bool {
        guard end < limits.headBytes else {
            throw HTTP1Error(.headTooLarge, "The status line is longer than \(limits.headBytes) bytes.")
        }
        return false
    }

    func reason(_ bytes: UnsafeRawBufferPointer) -> String {
        let end = min(Int(self.reasonEnd), bytes.count)
        return FieldBytes.text(UnsafeRawBufferPointer(rebasing: bytes[min(Int(self.reasonStart), end)..<end]))
    }
}
