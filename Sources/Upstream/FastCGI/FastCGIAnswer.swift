import HTTP1
import NIOCore

/// The answer of a FastCGI application: records in, an HTTP answer out. A value without I/O.
struct FastCGIAnswer {
    enum Part: Equatable {
        case head(ResponseHead, BodyFraming)
        case body(ByteBuffer)
        case error(ByteBuffer)
        /// The answer is complete.
        case end(FastCGIEnd)
    }

    private let method: String
    private let limits: HeadLimits
    private var decoder = FastCGIDecoder()
    /// The head's bytes so far; `nil` after it.
    private var headBytes: ByteBuffer? = ByteBuffer()
    /// Bytes of the body that came with the head.
    private var waiting: ByteBuffer?
    /// Bytes of the body that were promised and are still to come; `nil` when nothing was promised.
    private var left: Int?
    private var hasBody = true

    /// - Parameter method: the request's.
    init(method: String, limits: HeadLimits) {
        self.method = method
        self.limits = limits
    }

    /// The next part; `nil` when more bytes are needed.
    ///
    /// - Throws: what is wrong with records, head or length; always with 502.
    mutating func next(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> Part? {
        if let bytes = self.waiting {
            self.waiting = nil
            if let part = try self.body(bytes) { return part }
        }
        while let part = try self.decoder.next(&buffer) {
            switch part {
            case .error(let bytes): return .error(bytes)
            case .output(let bytes):
                let made = self.headBytes == nil ? try self.body(bytes) : try self.head(bytes)
                if let made { return made }
            case .end(let end):
                guard end.outcome != 0 || (self.headBytes == nil && (self.left ?? 0) == 0) else {
                    let what = self.headBytes == nil ? "its body's promised length" : "an answer's head"
                    throw HTTP1Error(.endedEarly, status: 502, "The application ended before \(what).")
                }
                return .end(end)
            }
        }
        return nil
    }

    var isBetweenRecords: Bool { self.decoder.isBetweenRecords }

    private mutating func body(_ bytes: ByteBuffer) throws(HTTP1Error) -> Part? {
        // To HEAD, and with 204 and 304, there is no body, whatever an application writes.
        guard self.hasBody, bytes.readableBytes > 0 else { return nil }
        if let left = self.left {
            guard bytes.readableBytes <= left else {
                throw HTTP1Error(.badFraming, status: 502, "The application sent more than it promised.")
            }
            self.left = left - bytes.readableBytes
        }
        return .body(bytes)
    }

    // MARK: The head

    private mutating func head(_ bytes: ByteBuffer) throws(HTTP1Error) -> Part? {
        guard var all = self.headBytes else { return nil }
        self.headBytes = ByteBuffer()
        let looked = max(0, all.readableBytes - 3)
        all.writeImmutableBuffer(bytes)
        guard let end = Self.endOfHead(all, from: looked) else {
            guard all.readableBytes <= self.limits.headBytes else {
                throw HTTP1Error(.headTooLarge, status: 502, "The application's head is too large.")
            }
            self.headBytes = all
            return nil
        }
        self.headBytes = nil
        guard let lines = all.readSlice(length: end) else { return nil }
        let (head, framing) = try self.read(lines)
        if all.readableBytes > 0 { self.waiting = all }
        return .head(head, framing)
    }

    /// Where the body begins: after an empty line, whose end and the one before may be LF alone.
    private static func endOfHead(_ buffer: ByteBuffer, from start: Int) -> Int? {
        buffer.withUnsafeReadableBytes { bytes in
            var index = start
            while index < bytes.count {
                defer { index += 1 }
                guard bytes[index] == 0x0A else { continue }
                if index == 0 { return 1 }
                if bytes[index - 1] == 0x0A { return index + 1 }
                guard bytes[index - 1] == 0x0D else { continue }
                if index == 1 { return 2 }
                if bytes[index - 2] == 0x0A { return index + 1 }
            }
            return nil
        }
    }

    /// The lines as an HTTP head: read by the parser that reads every upstream's.
    private mutating func read(_ lines: ByteBuffer) throws(HTTP1Error) -> (ResponseHead, BodyFraming) {
        var bytes = ByteBuffer()
        bytes.writeStaticString("HTTP/1.1 200 OK\r\n")
        var before: UInt8 = 0
        for byte in lines.readableBytesView {
            if byte == 0x0A, before != 0x0D { bytes.writeInteger(UInt8(0x0D)) }
            bytes.writeInteger(byte)
            before = byte
        }
        var parser = ResponseHeadParser(limits: self.limits)
        guard var head = try parser.parse(&bytes) else {
            throw HTTP1Error(.badField, status: 502, "The application's head has no end.")
        }
        guard !head.fields.contains("Transfer-Encoding") else {
            throw HTTP1Error(.badTransferCoding, status: 502, "A FastCGI application has no transfer codings.")
        }
        try Self.readStatus(&head)
        let declared = try head.framing(requestMethod: self.method)
        self.hasBody = declared != .none
        // Without a length the end of the request tells the body's: told on as chunks.
        guard case .length(let length) = declared else { return (head, declared == .none ? .none : .chunked) }
        self.left = length
        return (head, declared)
    }

    /// `Status: 404 Not Found`; without it a `Location` is a redirect (RFC 3875 section 6.2).
    private static func readStatus(_ head: inout ResponseHead) throws(HTTP1Error) {
        if let text = head.fields["Status"] {
            let parts = text.split(separator: " ", maxSplits: 1)
            guard let digits = parts.first, digits.utf8.count == 3, let status = Int(digits),
                (200...599).contains(status)
            else {
                throw HTTP1Error(.badStatusLine, status: 502, "The application's status is no number from 200 to 599.")
            }
            head.fields.removeAll("Status")
            head = ResponseHead(status: status, reason: parts.count > 1 ? String(parts[1]) : nil, fields: head.fields)
        } else if head.fields.contains("Location") {
            head = ResponseHead(status: 302, fields: head.fields)
        }
    }
}
