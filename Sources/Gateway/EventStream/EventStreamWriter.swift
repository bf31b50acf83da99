import HTTP1
package import NIOCore

/// What an event carries.
package enum EventStreamPayload: Sendable {
    /// Text as it is.
    case text
    /// Bytes, as base64 in an event named `binary`.
    case binary
}

extension ByteBuffer {
    /// Writes one event (WHATWG HTML section 9.2): each line of the text is a `data` line of its own.
    package mutating func writeEvent(_ kind: EventStreamPayload, payload: ByteBuffer, id: String) {
        self.reserveCapacity(minimumWritableBytes: payload.readableBytes &+ 64)
        self.writeString("id: ")
        self.writeString(id)
        switch kind {
        case .text:
            self.writeEventLines(payload)
        case .binary:
            self.writeString("\nevent: binary\ndata: ")
            self.writeBase64(payload)
        }
        self.writeString("\n\n")
    }

    /// Writes one event for each line of a frame of the Centrifugo client protocol.
    mutating func writeClientEvents(_ lines: ByteBuffer) {
        for line in lines.readableBytesView.split(separator: UInt8(ascii: "\n")) {
            self.writeStaticString("data: ")
            self.writeBytes(line)
            self.writeStaticString("\n\n")
        }
    }

    /// Writes the event `close`, after which the stream ends; `carillon.js` reads it as a WebSocket's close.
    package mutating func writeCloseEvent(_ code: CloseCode, reason: String) {
        self.writeString("event: close\ndata: {\"code\": \(code.rawValue), \"reason\": ")
        self.writeJSONString(reason)
        self.writeString("}\n\n")
    }

    /// A line break of any kind ends a `data` line: CR LF, LF or CR.
    private mutating func writeEventLines(_ payload: ByteBuffer) {
        payload.withUnsafeReadableBytes { bytes in
            var start = 0
            var index = 0
            while true {
                while index < bytes.count, bytes[index] != 0x0A, bytes[index] != 0x0D { index &+= 1 }
                self.writeString("\ndata: ")
                self.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[start..<index]))
                guard index < bytes.count else { return }
                if bytes[index] == 0x0D, index &+ 1 < bytes.count, bytes[index &+ 1] == 0x0A { index &+= 1 }
                index &+= 1
                start = index
            }
        }
    }
}
