package import NIOCore

/// What kind of frame (RFC 6455 section 5.2).
package enum WebSocketOpcode: UInt8, Sendable {
    case continuation = 0x0, text = 0x1, binary = 0x2
    case close = 0x8, ping = 0x9, pong = 0xA

    /// Control frames are short, whole, and may stand between the fragments of a message.
    package var isControl: Bool { self.rawValue & 0x8 != 0 }
}

extension ByteBuffer {
    /// Writes one unfragmented frame, unmasked, as a server does.
    ///
    /// - Parameter compressed: the payload was deflated (RFC 7692 section 6: RSV1).
    package mutating func writeWebSocketFrame(
        _ opcode: WebSocketOpcode, payload: ByteBuffer, compressed: Bool = false
    ) {
        let length = payload.readableBytes
        self.reserveCapacity(minimumWritableBytes: length &+ 10)
        let first: UInt8 = 0x80 | (compressed ? 0x40 : 0) | opcode.rawValue
        if length < 126 {
            self.writeInteger(UInt16(first) << 8 | UInt16(truncatingIfNeeded: length))
        } else if let short = UInt16(exactly: length) {
            // One integer: the common frame, whose three fields one by one would cost more than its payload's copy.
            self.writeInteger(UInt32(first) << 24 | 126 << 16 | UInt32(short))
        } else {
            self.writeMultipleIntegers(first, UInt8(127), UInt64(length))
        }
        self.writeImmutableBuffer(payload)
    }

    /// Writes a close frame; a reason too long for a control frame is cut at a character (RFC 6455 section 5.5).
    package mutating func writeWebSocketClose(_ code: CloseCode, reason: String) {
        guard code != .noStatus, code != .abnormal else {
            self.writeWebSocketFrame(.close, payload: ByteBuffer())
            return
        }
        var payload = ByteBuffer()
        payload.writeInteger(code.rawValue)
        payload.writeSubstring(reason.prefix(utf8Bytes: 123))
        self.writeWebSocketFrame(.close, payload: payload)
    }
}

extension String {
    /// As many whole Unicode scalars from the beginning as fit into `limit` bytes of UTF-8.
    func prefix(utf8Bytes limit: Int) -> Substring {
        guard self.utf8.count > limit else { return self[...] }
        var bytes = 0
        let end = self.unicodeScalars.firstIndex {
            bytes &+= UTF8.width($0)
            return bytes > limit
        }
        return self[..<(end ?? self.endIndex)]
    }
}
