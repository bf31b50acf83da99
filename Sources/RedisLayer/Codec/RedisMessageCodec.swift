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

    let serializer: RedisSerializer
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
    /// The bytes to store or publish.
    ///
    /// - Parameters:
    ///   - receiver: the channel of a process that it is for, which a core message then names; `nil` for a normal channel.
    ///   - seconds: since 1970; stands in an encrypted message.
    /// - Throws: `invalidMessage` for a reserved key, and for what the serializer cannot say.
    package func encode(
        _ message: LayerMessage, for receiver: ChannelName? = nil, at seconds: Double
    ) throws(LayerError) -> ByteBuffer {
        try Self.checkKeys(of: message)
        var bytes = self.randomPrefix()
        guard let receiver else {
            try self.write(message, at: seconds, into: &bytes)
            return bytes
        }
        var carried = message
        carried.entries.append(.init(key: .string(Self.receiversKey), value: .string(receiver.text)))
        try self.write(carried, at: seconds, into: &bytes)
        return bytes
    }

    /// Appends what to publish to what is there, without a random prefix: for pub/sub.
    ///
    /// - Throws: as `encode`; perhaps something was written then.
    package func encode(
        _ message: LayerMessage, at seconds: Double, into bytes: inout ByteBuffer
    ) throws(LayerError) {
        try Self.checkKeys(of: message)
        try self.write(message, at: seconds, into: &bytes)
    }

    private func write(
        _ message: LayerMessage, at seconds: Double, into bytes: inout ByteBuffer
    ) throws(LayerError) {
        guard self.isEncrypting else { return try self.serialize(message, into: &bytes) }
        var payload = ByteBuffer()
        try self.serialize(message, into: &payload)
        try self.seal(payload, at: seconds, into: &bytes)
    }

    /// A group's message up to the list of receivers, which differs from process to process. Either a script that reads the
    /// members appends the list, or `complete` does.
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

    /// The bytes to store for some of a group's members.
    ///
    /// - Parameters:
    ///   - open: what `encodeOpen` made.
    ///   - seconds: since 1970; stands in an encrypted message.
    package func complete(
        _ open: ByteBuffer, for receivers: [ChannelName], at seconds: Double
    ) throws(LayerError) -> ByteBuffer {
        var bytes = open
        self.appendList(receivers, to: &bytes)
        guard self.isEncrypting, let prefix = bytes.readSlice(length: self.prefixLength) else { return bytes }
        var sealed = prefix
        try self.seal(bytes, at: seconds, into: &sealed)
        return sealed
    }

    private func appendList(_ receivers: [ChannelName], to bytes: inout ByteBuffer) {
        switch self.serializer {
        case .json:
            // Names hold nothing that JSON escapes.
            bytes.writeString("[\"" + receivers.map(\.text).joined(separator: "\", \"") + "\"]}")
        case .messagePack:
            if receivers.count < 16 {
                bytes.writeInteger(0x90 | UInt8(receivers.count))
            } else if let small = UInt16(exactly: receivers.count) {
                bytes.writeMultipleIntegers(0xDC as UInt8, small)
            } else {
                bytes.writeMultipleIntegers(0xDD as UInt8, UInt32(clamping: receivers.count))
            }
            for receiver in receivers {
                // At most 99 bytes.
                let size = UInt8(clamping: receiver.text.utf8.count)
                if size < 32 {
                    bytes.writeInteger(0xA0 | size)
                } else {
                    bytes.writeMultipleIntegers(0xD9 as UInt8, size)
                }
                bytes.writeString(receiver.text)
            }
        }
    }

    private func seal(_ payload: ByteBuffer, at seconds: Double, into bytes: inout ByteBuffer) throws(LayerError) {
        do {
            try self.keyring?.seal(payload, at: UInt64(max(0, seconds)), into: &bytes)
        } catch {
            throw LayerError(.invalidMessage, "the message cannot be encrypted: \(error)")
        }
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
        guard payload.readableBytes >= self.prefixLength else {
            throw Fault(
                reason: .undecodable, description: "shorter than the random prefix of \(self.prefixLength) bytes")
        }
        payload.moveReaderIndex(forwardBy: self.prefixLength)
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
        // Most messages of pub/sub have no such key, which is found out quickly.
        guard message.reservedKey != nil, let receivers = message[Self.receiversKey] else {
            return Arrival(message: message, receivers: [])
        }
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
