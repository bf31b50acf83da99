import ChannelLayer
import JSON
import NIOCore

/// What an application says through the protocol: JSON, or the bytes of one whose clients speak Protobuf.
enum ClientData: Hashable, Sendable {
    case json(JSONText)
    case bytes(ByteBuffer)

    /// What a field of Protobuf carries, byte for byte; `nil` when it is empty.
    init?(field: ByteBuffer) {
        guard field.readableBytes > 0 else { return nil }
        self = .bytes(field)
    }

    /// What the layer carries; `nil` when it is nested more deeply than it could be said.
    init?(_ value: LayerValue) {
        switch value {
        case .json(let text): self = .json(text)
        case .bytes(let bytes): self = .bytes(bytes)
        default:
            guard let text = LayerJSON.text(of: value) else { return nil }
            self = .json(JSONText(unchecked: text))
        }
    }

    var layerValue: LayerValue {
        switch self {
        case .json(let text): .json(text)
        case .bytes(let bytes): .bytes(bytes)
        }
    }

    /// JSON text in one line. Bytes that are JSON text are it as they are; others become base64 in a text.
    var json: ByteBuffer {
        var text =
            switch self {
            case .json(let text): text.bytes
            case .bytes(let bytes):
                (try? JSONText(validating: bytes))?.bytes ?? LayerJSON.text(of: self.layerValue) ?? ByteBuffer()
            }
        text.joinLines()
        return text
    }

    /// The JSON text that it is; bytes may be one, too.
    var jsonText: JSONText? {
        switch self {
        case .json(let text): text
        case .bytes(let bytes): try? JSONText(validating: bytes)
        }
    }

    /// JSON in a text of JSON: what whoever takes patches in JSON gets, patch or not.
    var quoted: ClientData { Self.quoted(self.jsonText == nil ? self.json : self.bytes) }

    /// Bytes that are UTF-8 as a text of JSON.
    static func quoted(_ bytes: ByteBuffer) -> ClientData {
        var text = ByteBuffer()
        text.writeJSONString(String(buffer: bytes))
        return .json(JSONText(unchecked: text))
    }

    /// The bytes of JSON text, or those that they are.
    var bytes: ByteBuffer {
        switch self {
        case .json(let text): text.bytes
        case .bytes(let bytes): bytes
        }
    }
}

extension ByteBuffer {
    /// Makes JSON text one line: several pushes and replies of a frame are told apart by line feeds. Outside of strings,
    /// where only escaped ones can stand, they are white space.
    mutating func joinLines() {
        guard self.readableBytesView.contains(UInt8(ascii: "\n")) else { return }
        self.withUnsafeMutableReadableBytes { bytes in
            for index in bytes.indices where bytes[index] == UInt8(ascii: "\n") { bytes[index] = UInt8(ascii: " ") }
        }
    }
}
