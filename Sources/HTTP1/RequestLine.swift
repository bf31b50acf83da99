/// Reads `method SP target SP version CRLF` (RFC 9112 section 3), exactly one space between them, as its bytes come.
///
/// Keeps places only, and looks at each byte once; see `FieldSection`.
struct RequestLine: Sendable {
    private enum Phase: UInt8 { case method, target, version }

    private static let longestMethod = 16

    private var phase = Phase.method
    private(set) var version = HTTPVersion.http11
    private var methodEnd: UInt32 = 0
    private var targetEnd: UInt32 = 0
    /// The next byte to look at; after the line once it is complete.
    private(set) var cursor = 0

    /// - Returns: whether the line is complete and right, but for the method's name and the target's form.
    mutating func advance(_ bytes: UnsafeRawBufferPointer, limits: HeadLimits) throws(HTTP1Error) -> Bool {
        guard let base = bytes.baseAddress else { return false }
        let end = min(bytes.count, limits.headBytes)
        if self.phase == .method { try self.readMethod(base, end) }
        if self.phase == .target { try self.readTarget(base, end, limits.targetBytes) }
        if self.phase == .version, try self.readVersion(base, end) { return true }
        guard bytes.count < limits.headBytes else {
            throw HTTP1Error(.targetTooLong, status: 414, "The first line is longer than \(limits.headBytes) bytes.")
        }
        return false
    }

    private mutating func readMethod(_ base: UnsafeRawPointer, _ end: Int) throws(HTTP1Error) {
        while self.cursor < end {
            let byte = base.load(fromByteOffset: self.cursor, as: UInt8.self)
            if byte == 0x20, self.cursor > 0 {
                self.methodEnd = UInt32(truncatingIfNeeded: self.cursor)
                self.cursor &+= 1
                self.phase = .target
                return
            }
            guard FieldBytes.isToken(byte), self.cursor < Self.longestMethod else {
                throw HTTP1Error(.badRequestLine, "The request line does not begin with a method and one space.")
            }
            self.cursor &+= 1
        }
    }

    private mutating func readTarget(_ base: UnsafeRawPointer, _ end: Int, _ limit: Int) throws(HTTP1Error) {
        let start = Int(self.methodEnd) &+ 1
        // One byte over the limit is enough to know.
        let stop = min(end, start &+ limit &+ 1)
        self.cursor = FieldBytes.endOfTarget(base, from: self.cursor, to: stop)
        guard self.cursor &- start <= limit else {
            throw HTTP1Error(.targetTooLong, status: 414, "The target is longer than \(limit) bytes.")
        }
        guard self.cursor < stop else { return }
        guard base.load(fromByteOffset: self.cursor, as: UInt8.self) == 0x20, self.cursor > start else {
            throw HTTP1Error(.badRequestLine, "The request's target is missing, or has a byte that cannot stand there.")
        }
        self.targetEnd = UInt32(truncatingIfNeeded: self.cursor)
        self.cursor &+= 1
        self.phase = .version
    }

    private mutating func readVersion(_ base: UnsafeRawPointer, _ end: Int) throws(HTTP1Error) -> Bool {
        let start = Int(self.targetEnd) &+ 1
        guard let version = try HTTPVersion.read(base, from: start, to: end, code: .badRequestLine) else {
            return false
        }
        guard start &+ 8 < end else { return false }
        guard base.load(fromByteOffset: start &+ 8, as: UInt8.self) == 0x0D else {
            throw HTTP1Error(.badRequestLine, "The request line does not end with CR LF after the version.")
        }
        guard start &+ 9 < end else { return false }
        guard base.load(fromByteOffset: start &+ 9, as: UInt8.self) == 0x0A else {
            throw HTTP1Error(.badRequestLine, "The request line has a CR without LF.")
        }
        self.version = version
        self.cursor = start &+ 10
        return true
    }

    // MARK: What it says

    /// The method; asked when the line is complete.
    func method(_ bytes: UnsafeRawBufferPointer) throws(HTTP1Error) -> String {
        let end = min(Int(self.methodEnd), bytes.count)
        guard let method = Method.named(UnsafeRawBufferPointer(rebasing: bytes[..<end])) else {
            throw HTTP1Error(.unknownMethod, status: 501, "The method is none that is known here.")
        }
        return method
    }

    /// The target, of the one of the four forms that the method is for (RFC 9112 section 3.2).
    func target(_ bytes: UnsafeRawBufferPointer, method: String) throws(HTTP1Error) -> String {
        let start = min(Int(self.methodEnd) &+ 1, bytes.count)
        let end = max(start, min(Int(self.targetEnd), bytes.count))
        let target = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
        guard TargetForm.isRight(target, method: method) else {
            throw HTTP1Error(.badRequestLine, TargetForm.rule(method: method))
        }
        return FieldBytes.text(target)
    }
}

/// The methods that are known: those that common HTTP/1.1 parsers know. Others are answered 501 (RFC 9110 section 9.1), as
/// nobody behind us would see the same request.
enum Method {
    /// - Returns: the name as a constant; `nil` when it is none of the known ones. Case counts.
    static func named(_ bytes: UnsafeRawBufferPointer) -> String? {
        var word: (UInt64, UInt64) = (0, 0)
        guard bytes.count <= 16 else { return nil }
        withUnsafeMutableBytes(of: &word) { $0.copyMemory(from: bytes) }
        if word.1 == 0 {
            switch UInt64(littleEndian: word.0) {
            case 0x54_4547: return "GET"
            case 0x5453_4F50: return "POST"
            case 0x4441_4548: return "HEAD"
            case 0x54_5550: return "PUT"
            default: break
            }
        }
        return Self.others[FieldBytes.text(bytes)]
    }

    private static let others: [String: String] = {
        let names = [
            "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "COPY", "LOCK", "MKCOL", "MOVE", "PROPFIND", "PROPPATCH",
            "SEARCH", "UNLOCK", "BIND", "REBIND", "UNBIND", "ACL", "REPORT", "MKACTIVITY", "CHECKOUT", "MERGE",
            "M-SEARCH",
            "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "PURGE", "MKCALENDAR", "LINK", "UNLINK", "SOURCE",
        ]
        return Dictionary(uniqueKeysWithValues: names.map { ($0, $0) })
    }()
}
