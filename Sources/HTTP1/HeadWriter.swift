public import NIOCore

extension ByteBuffer {
    /// Writes a whole request head with its empty line.
    ///
    /// The parts may come from anywhere: what cannot stand in a target is percent-encoded, and what cannot stand in a method
    /// is left out, so that nothing breaks out of its place.
    public mutating func writeRequestHead(_ head: RequestHead) {
        self.reserveCapacity(
            minimumWritableBytes: head.method.utf8.count &+ head.target.utf8.count &+ head.fields.byteCount &+ 32)
        self.writeRequestLine(method: head.method, target: head.target, version: head.version)
        self.writeFields(head.fields)
        self.writeStaticString("\r\n")
    }

    /// Writes the first line of a request; see `writeRequestHead`.
    ///
    /// - Parameter target: `/` when it is empty.
    package mutating func writeRequestLine(method: String, target: String, version: HTTPVersion = .http11) {
        if method.utf8.allSatisfy(FieldBytes.isToken) {
            self.writeString(method)
        } else {
            self.writeBytes(method.utf8.filter(FieldBytes.isToken))
        }
        self.writeStaticString(" ")
        self.writeTarget(target)
        self.writeStaticString(version == .http11 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n")
    }

    private mutating func writeTarget(_ target: String) {
        var target = target.isEmpty ? "/" : target
        let isRight = target.withUTF8 { bytes in
            UnsafeRawPointer(bytes.baseAddress).map {
                FieldBytes.endOfTarget($0, from: 0, to: bytes.count) == bytes.count
            }
        }
        guard isRight != true else {
            self.writeString(target)
            return
        }
        for byte in target.utf8 {
            if byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "#") {
                self.writeInteger(byte)
            } else {
                self.writeStaticString("%")
                self.writeHexDigit(byte >> 4)
                self.writeHexDigit(byte & 15)
            }
        }
    }

    private mutating func writeHexDigit(_ digit: UInt8) {
        self.writeInteger(digit < 10 ? digit &+ 0x30 : digit &+ 0x37)
    }

    /// Writes a whole response head with its empty line.
    public mutating func writeResponseHead(_ head: ResponseHead) {
        self.reserveCapacity(minimumWritableBytes: head.reason.utf8.count &+ head.fields.byteCount &+ 32)
        self.writeStatusLine(head)
        self.writeFields(head.fields)
        self.writeStaticString("\r\n")
    }

    /// Writes the first line of a response; always as HTTP/1.1, the version we speak (RFC 9110 section 2.5). A control
    /// character in the reason becomes a space.
    public mutating func writeStatusLine(_ head: ResponseHead) {
        self.writeStatusLine(head.status, reason: head.reason)
    }

    /// Writes the first line of a response with the usual reason.
    package mutating func writeStatusLine(_ status: Int) {
        self.writeStatusLine(status, reason: ReasonPhrase.of(status))
    }

    private mutating func writeStatusLine(_ status: Int, reason: String) {
        let status = min(max(status, 100), 999)
        self.writeStaticString("HTTP/1.1 ")
        self.writeInteger(UInt8(truncatingIfNeeded: status / 100 &+ 0x30))
        self.writeInteger(UInt8(truncatingIfNeeded: status / 10 % 10 &+ 0x30))
        self.writeInteger(UInt8(truncatingIfNeeded: status % 10 &+ 0x30))
        self.writeStaticString(" ")
        if HeaderFields.isValidValue(reason) {
            self.writeString(reason)
        } else {
            self.writeBytes(reason.utf8.map { FieldBytes.isValue($0) ? $0 : UInt8(ascii: " ") })
        }
        self.writeStaticString("\r\n")
    }

    // MARK: Chunks

    /// Writes one chunk; nothing for empty bytes, which would end the body.
    public mutating func writeChunk(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        self.reserveCapacity(minimumWritableBytes: bytes.readableBytes &+ 20)
        self.writeChunkStart(length: bytes.readableBytes)
        self.writeImmutableBuffer(bytes)
        self.writeStaticString("\r\n")
    }

    /// Writes what goes before a chunk's bytes, for those who send large ones on without copying; `\r\n` goes after them.
    ///
    /// - Parameter length: bytes, 1 or more; the next chunk's start must not come before all of them.
    package mutating func writeChunkStart(length: Int) {
        var shift = max(0, (67 &- length.leadingZeroBitCount) / 4 &- 1) &* 4
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: length &>> shift & 15)
            self.writeInteger(digit < 10 ? digit &+ 0x30 : digit &+ 0x57)
            shift &-= 4
        }
        self.writeStaticString("\r\n")
    }

    /// Writes the end of a chunked body.
    public mutating func writeLastChunk(trailers: HeaderFields = .init()) {
        self.writeStaticString("0\r\n")
        self.writeFields(trailers)
        self.writeStaticString("\r\n")
    }
}
