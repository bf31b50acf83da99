import Crypto
package import HTTP1
package import NIOCore

/// The opening handshake (RFC 6455 section 4.2), as far as it does not depend on the route.
package enum WebSocketHandshake {
    /// Whether the request wants a WebSocket at all.
    package static func isUpgrade(_ head: RequestHead) -> Bool {
        head.fields.hasToken("websocket", in: "upgrade")
    }

    /// The browser's key, when everything RFC 6455 section 4.2.1 asks for is there.
    package static func key(of head: RequestHead) throws(RequestFault) -> String {
        guard head.method == "GET" else { throw RequestFault(405, .wrongMethod, "A WebSocket is opened with GET.") }
        guard head.version == .http11 else { throw RequestFault(400, .badHandshake, "A WebSocket needs HTTP/1.1.") }
        // What follows the head is frames: bytes of a body would be taken for them.
        switch try? head.framing() {
        case .some(.none), .length(0): break
        default: throw RequestFault(400, .badHandshake, "A WebSocket is opened without a body.")
        }
        guard head.fields.hasToken("upgrade", in: "connection") else {
            throw RequestFault(
                400, .badHandshake, "Connection: Upgrade is missing. A proxy in between may have removed it.")
        }
        guard head.fields["sec-websocket-version"] == "13" else {
            throw RequestFault(426, .wrongVersion, "Sec-WebSocket-Version must be 13.")
        }
        let keys = head.fields.values("sec-websocket-key")
        guard let key = keys.first, keys.count == 1, Self.isKey(key) else {
            throw RequestFault(400, .badHandshake, "Sec-WebSocket-Key must be 16 bytes in base64.")
        }
        return key
    }

    /// What `Sec-WebSocket-Accept` must say (RFC 6455 section 4.2.2).
    package static func accept(_ key: String) -> ByteBuffer {
        var hash = Insecure.SHA1()
        hash.update(data: Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))
        var accept = ByteBuffer()
        accept.writeBase64(ByteBuffer(bytes: hash.finalize()))
        return accept
    }

    /// Writes the whole answer.
    package static func writeAnswer(
        to key: String, subprotocol: String?, compression: CompressionAgreement?, into buffer: inout ByteBuffer
    ) {
        buffer.writeStaticString(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
        buffer.writeImmutableBuffer(Self.accept(key))
        if let subprotocol {
            buffer.writeStaticString("\r\nSec-WebSocket-Protocol: ")
            buffer.writeString(subprotocol)
        }
        if let compression {
            buffer.writeStaticString("\r\nSec-WebSocket-Extensions: ")
            buffer.writeString(compression.answer)
        }
        buffer.writeStaticString("\r\n\r\n")
    }

    private static func isKey(_ key: String) -> Bool {
        let bytes = Array(key.utf8)
        guard bytes.count == 24, bytes[22] == UInt8(ascii: "="), bytes[23] == UInt8(ascii: "=") else { return false }
        return bytes.prefix(22).allSatisfy {
            switch $0 {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
    }
}
