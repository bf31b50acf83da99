import ChannelLayer
import JSON
import NIOCore

/// What a body from the broker is: a message, and whom it is for.
enum Arrival: Equatable {
    case group(GroupName, LayerMessage)
    case channel(ChannelName, LayerMessage)

    /// A message that a layer sent: exactly one of the reserved keys says whom it is for, wherever in the map it stands.
    /// Routing key, exchange and properties say nothing, because senders set them in many ways.
    ///
    /// - Throws: what is wrong with the body.
    init(messagePack body: ByteBuffer) throws(MessagePackError) {
        var message = try LayerMessage(messagePack: body)
        var names: [String: String] = [:]
        // From the end, where every sender but kombu's has it. A key that is there with nothing counts as not there.
        for index in message.entries.indices.reversed() {
            guard case .string(let key) = message.entries[index].key, LayerMessage.reservedKeys.contains(key) else {
                continue
            }
            switch message.entries.remove(at: index).value {
            case .string(let name): if names[key] == nil { names[key] = name }
            case .null: break
            default: throw MessagePackError("\(key) is no text", at: 0)
            }
        }
        switch (names[Self.groupKey], names[Self.channelKey]) {
        case (let group?, nil): self = .group(GroupName(unchecked: group), message)
        case (nil, let channel?): self = .channel(ChannelName(unchecked: channel), message)
        case (nil, nil): throw MessagePackError("neither \(Self.groupKey) nor \(Self.channelKey) is there", at: 0)
        default: throw MessagePackError("both \(Self.groupKey) and \(Self.channelKey) are there", at: 0)
        }
    }

    /// JSON text that any AMQP client put into the exchange for plain publishing: what the publish API sends with it.
    ///
    /// - Throws: what is wrong with the text.
    init(json body: ByteBuffer, key: String) throws(JSONError) {
        guard let group = try? GroupName(key) else { throw JSONError("the routing key is no group's name", at: 0) }
        let text = try JSONText(validating: body)
        self = .group(group, .publication(.json(text)))
    }

    static let groupKey = "__asgi_group__"
    static let channelKey = "__asgi_channel__"
}

extension LayerMessage {
    /// The bytes to send, with whom they are for as the last key.
    ///
    /// - Throws: `invalidMessage` for a reserved key, for what MessagePack or a Python peer cannot read, and for more than
    ///   16 000 000 bytes.
    func encoded(adding key: String, _ name: String) throws(LayerError) -> ByteBuffer {
        if let key = self.reservedKey {
            throw LayerError(.invalidMessage, "the key \(key) is reserved for the layers; name it otherwise")
        }
        var message = self
        message.entries.append(LayerValue.Entry(key: .string(key), value: .string(name)))
        var body = ByteBuffer()
        try message.encodeMessagePack(into: &body)
        guard body.readableBytes <= RabbitMQConfiguration.messageLimit else {
            throw LayerError(
                .invalidMessage,
                "the message has \(body.readableBytes) bytes; RabbitMQ carries \(RabbitMQConfiguration.messageLimit)")
        }
        return body
    }
}
