public import ChannelLayer

/// How a core layer is set up; named as in `CONFIG` of `channels_redis.core.RedisChannelLayer`. All processes of a site
/// must agree on it.
public struct RedisLayerConfiguration: Sendable {
    /// The servers among which groups and mailboxes are divided, everywhere in this order; at least one.
    public var hosts: [RedisEndpoint] = [.local]
    /// The start of all keys.
    public var prefix = "asgi"
    /// Capacity, its patterns, and how long messages and memberships live.
    public var limits = LayerConfiguration()
    /// Secrets: the first encrypts, each is tried for what arrives; none for plain messages.
    public var encryptionKeys: [String] = []
    /// Random bytes before each stored message, which keep equal messages apart; 0 to 1024.
    public var randomPrefixLength = 12
    public var serializer = RedisSerializer.messagePack

    public init() {}
}

extension RedisLayerConfiguration {
    /// What `int(expiry)` is in Python, but at least 1: Redis keeps nothing for less.
    var expirySeconds: Int64 { max(1, self.limits.expiry.components.seconds) }

    /// The same for memberships.
    var groupExpirySeconds: Int64 { max(1, self.limits.groupExpiry.components.seconds) }

    /// How much older than `expiry` a message may be when it is read, in seconds: clocks of hosts differ.
    var tolerance: Double { min(5, Double(self.expirySeconds) / 10) }

    /// How the names of gateways' mailboxes begin.
    static let gatewayMark = "carillon-gw."

    /// Messages that a gateway's mailbox may hold, for those who send from here. Gateways never stop reading, and a burst
    /// is over faster than a reader can be told of it: with a capacity of 100 much of it would be dropped.
    var gatewayCapacity: Int { max(self.limits.capacity, 10_000) }

    /// Messages that `channel`'s mailbox may hold when somebody sends to it as a member of a group.
    func capacity(ofMember channel: ChannelName) -> Int {
        channel.text.hasPrefix(Self.gatewayMark) ? self.gatewayCapacity : self.limits.capacity(of: channel)
    }

    /// Whether one script on one host can do a whole `send` to a group: members need not be known here.
    var allowsOneStep: Bool {
        self.hosts.count == 1 && self.encryptionKeys.isEmpty && self.limits.channelCapacity.isEmpty
    }
}
