package import ChannelLayer
import JSON
package import NIOCore

/// What both Redis layers store or publish:
///
///     core      random prefix | payload
///     pub/sub   payload
///     payload   MessagePack or JSON, or the text of the Fernet token that holds it
///
/// A core message says in its last key, `__asgi_channel__`, for which channels of the reading process it is.
package struct RedisMessageCodec: Sendable {
    /// The key for the receivers, which no application may use.
    static let receiversKey = "__asgi_channel__"

    private let serializer: RedisSerializer
    private let keyring: FernetKeyring?
    private let prefixLength: Int

    /// - Parameters:
    ///   - secrets: `symmetric_encryption_keys`; none for plain messages.
    ///   - randomPrefixLength: bytes before the payload; 0 for pub/sub.
    package init(serializer: RedisSerializer, secrets: [String], randomPrefixLength: Int) {
        self.serializer = serializer
        self.keyring = FernetKeyring(secrets)
        self.prefixLength = randomPrefixLength
    }

    package var isEncrypting: Bool { self.keyring != nil }
}

// MARK: - Writing

extension RedisMessageCodec {
    /// For which channels a message is.
    package enum Receivers: Sendable {
        /// Not said: a normal channel's message, and everything in pub/sub.
        case none
        /// One channel, as `send` writes it.
        case one(ChannelName)
        /// A group's members in one process, as `group_send` writes it, also when it is only one.
        case list([ChannelName])

        fileprivate var value: LayerValue? {
            switch self {
            case .none: nil
            case .one(let channel): .string(channel.text)
            case .list(let channels): .array(channels.map { .string($0.text) })
            }
        }
    }

    /// The bytes to store or publish.
    ///
    /// - Parameter seconds: since 1970; stands in an encrypted message.
    /// - Throws: `invalidMessage` for a reserved key, and for what the serializer cannot say.
    package func encode(
        _ message: LayerMessage, for receivers: Receivers, at seconds: Double
    ) throws(LayerError) -> ByteBuffer {
        try Self.checkKeys(of: message)
        var carried = message
        if let value = receivers.value { carried.entries.append(.init(key: .string(Self.receiversKey), value: value)) }
        var bytes = self.randomPrefix()
        guard let keyring = self.keyring else {
            try self.serialize(carried, into: &bytes)
            return bytes
        }
        var payload = ByteBuffer()
        try self.serialize(carried, into: &payload)
        do {
            try keyring.seal(payload, at: UInt64(max(0, seconds)), into: &bytes)
        } catch {
            throw LayerError(.invalidMessage, "the message cannot be encrypted: \(error)")
        }
        return bytes
    }

    /// The bytes up to the list of receivers, which Redis itself appends: a script that reads the members of a group
    /// there then needs no second round trip. Only without encryption.
    ///
    /// What follows is a MessagePack array of the names, or a JSON array of them and `}`.
    package func encodeOpen(_ message: LayerMessage) throws(LayerError) -> ByteBuffer {
        try Self.checkKeys(of: message)
        var carried = message
        carried.entries.append(.init(key: .string(Self.receiversKey), value: .array([])))
        var bytes = self.randomPrefix()
        try self.serialize(carried, into: &bytes)
        // An empty array is one byte of MessagePack; in JSON it is two, and the end of the map follows.
        bytes.moveWriterIndex(to: bytes.writerIndex - (self.serializer == .json ? 3 : 1))
        return bytes
    }

    private static func checkKeys(of message: LayerMessage) throws(LayerError) {
        if let key = message.reservedKey {
            throw LayerError(.invalidMessage, "the key \(key) is reserved for the layers; name it otherwise")
        }
    }

    private func serialize(_ message: LayerMessage, into bytes: inout ByteBuffer) throws(LayerError) {
        switch self.serializer {
        case .messagePack: try message.encodeMessagePack(into: &bytes)
        case .json: try message.encodeJSON(into: &bytes)
        }
    }

    /// Makes equal messages different members of a sorted set; nobody looks at what it is, so it need not be secret.
    private func randomPrefix() -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.reserveCapacity(self.prefixLength + 256)
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<self.prefixLength / 8 { bytes.writeInteger(generator.next()) }
        if self.prefixLength % 8 >= 4 { bytes.writeInteger(UInt32(truncatingIfNeeded: generator.next())) }
        for _ in 0..<self.prefixLength % 4 { bytes.writeInteger(UInt8(truncatingIfNeeded: generator.next())) }
        return bytes
    }
}

// MARK: - Reading

extension RedisMessageCodec {
    /// A message as it was stored or published.
    package struct Arrival: Sendable, Equatable {
        /// Without the key for the receivers.
        package var message: LayerMessage
        /// The full names that the message is for; none when it does not say.
        package var receivers: [String]
    }

    /// Why bytes are no message.
    package struct Fault: Error, CustomStringConvertible {
        package let reason: LayerDrop
        package let description: String
    }

    /// Reads what was stored or published, whoever did it.
    ///
    /// A text that begins as JSON does is read as JSON whatever the serializer: MessagePack never begins so.
    ///
    /// - Parameter times: when an encrypted message may have been made, in seconds since 1970; `nil` for any time.
    package func decode(_ stored: ByteBuffer, madeIn times: ClosedRange<UInt64>? = nil) throws(Fault) -> Arrival {
        var payload = stored
        guard payload.readSlice(length: self.prefixLength) != nil else {
            throw Fault(
                reason: .undecodable, description: "shorter than the random prefix of \(self.prefixLength) bytes")
        }
        if let keyring = self.keyring {
            do throws(FernetKeyring.Refusal) {
                payload = try keyring.open(payload, madeIn: times)
            } catch .notItsTime {
                throw Fault(reason: .expired, description: "its encryption is too old, or from the future")
            } catch {
                throw Fault(reason: .undecryptable, description: "none of the keys opens it")
            }
        }
        return Self.arrival(of: try Self.parse(payload))
    }

    private static func parse(_ payload: ByteBuffer) throws(Fault) -> LayerMessage {
        do {
            let isJSON = payload.getInteger(at: payload.readerIndex, as: UInt8.self) == UInt8(ascii: "{")
            return try isJSON ? LayerMessage(json: payload) : LayerMessage(messagePack: payload)
        } catch {
            throw Fault(reason: .undecodable, description: "\(error)")
        }
    }

    /// Takes the receivers out of the message.
    private static func arrival(of message: LayerMessage) -> Arrival {
        guard let receivers = message[Self.receiversKey] else { return Arrival(message: message, receivers: []) }
        var message = message
        message.entries.removeAll { $0.key == .string(Self.receiversKey) }
        return Arrival(message: message, receivers: Self.names(in: receivers))
    }

    private static func names(in value: LayerValue) -> [String] {
        switch value {
        case .string(let name): [name]
        case .array(let values): values.compactMap { if case .string(let name) = $0 { name } else { nil } }
        default: []
        }
    }
}
