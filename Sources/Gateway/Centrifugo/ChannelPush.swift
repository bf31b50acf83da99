import ChannelLayer
import JSON
import NIOCore

/// What a group's message becomes for those who follow the group as a channel: one push, the same for all of them.
///
///     {"push":{"channel":"news","pub":{"data":…}}}
///
/// This is where plain groups become channels: whatever a backend sends to the group `news` is a publication in `news`.
struct ChannelPush: Sendable {
    let dataKey: String?

    init(_ options: ChannelOptions) { self.dataKey = options.dataKey }

    func outcome(for message: LayerMessage, in group: GroupName) -> RuleOutcome {
        let data: LayerValue?
        var publisher: LayerValue?
        switch message.type {
        case LayerMessage.publicationType?:
            data = message.value(under: "data")
            publisher = message.valueUnlessNull(under: "info")
        // About the one WebSocket of a consumer, which a channel is not.
        case let type? where type.utf8.starts(with: "websocket.".utf8): return .drop(.protocolEvent)
        default: data = if let dataKey { message.value(under: dataKey) } else { LayerValue.map(message.entries) }
        }
        guard let data else { return .drop(.missingKey) }
        guard let text = Self.text(of: data) else { return .drop(.notEncodable) }
        var push = Self.allocator.buffer(capacity: text.readableBytes &+ 128)
        push.writeStaticString(#"{"push":{"channel":"#)
        push.writeJSONString(ClientChannel(of: group).text)
        push.writeStaticString(#","pub":{"data":"#)
        push.writeImmutableBuffer(text)
        if let publisher {
            guard let info = LayerJSON.text(of: publisher) else { return .drop(.notEncodable) }
            push.writeStaticString(#","info":"#)
            push.writeImmutableBuffer(info)
        }
        push.writeStaticString("}}}")
        push.joinLines()
        return .text(push)
    }

    private static let allocator = ByteBufferAllocator()

    /// Bytes that are JSON text are data as they are; others become base64.
    private static func text(of data: LayerValue) -> ByteBuffer? {
        switch data {
        case .json(let text): text.bytes
        case .bytes(let bytes): (try? JSONText(validating: bytes))?.bytes ?? LayerJSON.text(of: data)
        default: LayerJSON.text(of: data)
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
