public import ChannelLayer

/// What a `RabbitMQLayer` needs to know; named as the options of `channels_rabbitmq` where that has one.
public struct RabbitMQConfiguration: Sendable {
    /// What happens to a message when the broker holds `remoteCapacity` of them for this process.
    public enum Overflow: String, Sendable, CaseIterable {
        /// The oldest goes, and is counted here.
        case dropOldest = "drop_oldest"
        /// The new one is refused: its sender gets a nack, as with `channels_rabbitmq`.
        case refuse
    }

    /// The nodes of one broker, tried in turn; at least one.
    public var addresses: [RabbitMQAddress]
    /// Capacity and life of what this process holds: `capacity` is messages per channel, `expiry` is how long one may wait
    /// here to be read, `groupExpiry` is the life of a channel's membership.
    public var limits = LayerConfiguration()
    /// How long a message may wait in the broker before; `nil` for ever.
    public var expiry: Duration? = .seconds(60)
    /// The exchange through which groups are reached; direct, not durable.
    public var groupsExchange = "groups"
    /// The exchange where any AMQP client publishes JSON text under a group's name; topic, durable. `nil` for none.
    public var publishExchange: String? = "carillon.publish"
    /// Messages that may be on their way to this process, not yet acknowledged; 1 to 65 535.
    public var localCapacity = 2_000
    /// Messages that may wait in the broker for this process, and for each normal channel; `nil` for no limit.
    public var remoteCapacity: Int? = 100_000
    /// What happens beyond that. Normal channels always refuse.
    public var overflow = Overflow.dropOldest
    /// The queue for messages of normal channels that could not be delivered. `nil` drops them.
    public var deadLetterQueue: String? = "carillon.dead-letters"
    /// The stream in which all publications are that are kept. Every process that needs histories reads it.
    public var historyLog = "carillon.history"
    /// Bytes that the stream holds; all histories together should fit. A process reads all of it when it begins.
    public var historyLogBytes = 256 << 20
    /// How often a message of a normal channel is tried before it becomes a dead letter.
    public var deliveryLimit = 5
    /// Messages that may wait here to be sent. More are refused with `unavailable`.
    public var sendQueueLimit = 10_000
    /// Bytes that may wait here to be sent.
    public var sendQueueBytes = 64 << 20
    /// How long a message may wait to be taken by the broker, and a group to be followed.
    public var timeout = Duration.seconds(10)
    /// How long a connection may take to be made.
    public var connectTimeout = Duration.seconds(10)
    /// How often either side is heard of at least; a connection that is silent for twice that time is given up. The
    /// broker may ask for less.
    public var heartbeat = Duration.seconds(30)
    /// For `amqps://`.
    public var tls = RabbitMQTLS()
    /// The setting that holds the addresses, for errors.
    public var setting = "channel_layers.default.config.host"

    public init(addresses: [RabbitMQAddress] = [RabbitMQAddress(virtualHost: "asgi")]) { self.addresses = addresses }

    /// The largest message, in MessagePack bytes. A broker of version 4 closes the AMQP channel on 16 MiB.
    package static let messageLimit = 16_000_000

    /// Whole milliseconds that a message may wait in a queue; `nil` when that is more than RabbitMQ can count.
    var messageLife: Int64? {
        guard let (seconds, attoseconds) = self.expiry?.components, seconds < 4_000_000 else { return nil }
        return max(seconds * 1_000 + attoseconds / 1_000_000_000_000_000, 1)
    }
}

/// How a connection is encrypted, and what the broker must prove.
public struct RabbitMQTLS: Sendable, Hashable {
    /// A PEM file of authorities to trust; `nil` for the system's.
    public var authorityFile: String?
    /// A PEM file with the client's certificate chain, where the broker wants one.
    public var certificateFile: String?
    /// A PEM file with the certificate's private key.
    public var keyFile: String?
    /// Whether the certificate must be signed by a known authority.
    public var verifiesPeer = true
    /// Whether the certificate must be for the host's name. Names only: an address never matches.
    public var verifiesName = true

    public init() {}

    /// Debian's authorities.
    static let systemAuthorities = "/etc/ssl/certs/ca-certificates.crt"
}
