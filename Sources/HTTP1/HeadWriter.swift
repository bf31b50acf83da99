public import NIOCore

extension ByteBuffer {
    /// Writes a whole request head with its empty line.
    public mutating func writeRequestHead(_ head: RequestHead) {
        self.writeString(head.method)
        self.writeStaticString(" ")
        self.writeString(head.target)
        self.writeStaticString(head.version == .http11 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n")
        self.writeFields(head.fields)
        self.writeStaticString("\r\n")
    }

    /// Writes a whole response head with its empty line.
    public mutating func writeResponseHead(_ head: ResponseHead) {
        self.writeStatusLine(head)
        self.writeFields(head.fields)
        self.writeStaticString("\r\n")
    }

    /// Writes the first line of a response; always as HTTP/1.1, the version we speak (RFC 9110 section 2.5).
    public mutating func writeStatusLine(_ head: ResponseHead) {
        self.writeStaticString("HTTP/1.1 ")
        self.writeString(String(min(max(head.status, 100), 999)))
        self.writeStaticString(" ")
        self.writeBytes(head.reason.utf8.lazy.map { FieldBytes.isValue($0) ? $0 : UInt8(ascii: " ") })
        self.writeStaticString("\r\n")
    }

    /// Writes all fields, each with its line end.
    public mutating func writeFields(_ fields: HeaderFields) {
        for place in fields.places { self.writeField(fields, place) }
    }

    /// Writes the fields that a proxy passes on, byte for byte: all but those of this connection (RFC 9110 section
    /// 7.6.1), those that `Connection` names, and those in `excluded`.
    ///
    /// - Parameter excluded: names in lower case.
    package mutating func writeFields(of fields: HeaderFields, excluding excluded: [String]) {
        let named = fields.values("connection").flatMap { value in
            value.split(separator: ",").map { $0.filter { $0 != " " && $0 != "\t" } }
        }
        for place in fields.places {
            if Self.hopByHop.contains(where: { fields.hasName(place, $0) }) { continue }
            if excluded.contains(where: { fields.hasName(place, $0) }) { continue }
            if named.contains(where: { fields.hasName(place, $0) }) { continue }
            self.writeField(fields, place)
        }
    }

    private static let hopByHop = [
        "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
        "proxy-authenticate", "proxy-authorization",
    ]

    private mutating func writeField(_ fields: HeaderFields, _ place: HeaderFields.Place) {
        fields.withBytes(place.nameStart, place.nameEnd) { _ = self.writeBytes($0) }
        self.writeStaticString(": ")
        fields.withBytes(place.valueStart, place.valueEnd) { _ = self.writeBytes($0) }
        self.writeStaticString("\r\n")
    }

    /// Writes one chunk; nothing for empty bytes, which would end the body.
    public mutating func writeChunk(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        self.reserveCapacity(minimumWritableBytes: bytes.readableBytes &+ 20)
        self.writeString(String(bytes.readableBytes, radix: 16))
        self.writeStaticString("\r\n")
        self.writeImmutableBuffer(bytes)
        self.writeStaticString("\r\n")
    }

    /// Writes the end of a chunked body.
    public mutating func writeLastChunk(trailers: HeaderFields = .init()) {
        self.writeStaticString("0\r\n")
        self.writeFields(trailers)
        self.writeStaticString("\r\n")
    }
}
