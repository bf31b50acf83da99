/// How a pub/sub layer is set up; named as in `CONFIG` of `channels_redis.pubsub.RedisPubSubChannelLayer`. All processes of
/// a site must agree on it.
public struct RedisPubSubConfiguration: Sendable {
    /// The servers among which groups and channels are divided, everywhere in this order; at least one. Of a cluster: some
    /// of its nodes, of which the others are learned.
    public var hosts: [RedisEndpoint] = [.local]
    /// The hosts are one Redis Cluster: topics are sharded over its slots (`SPUBLISH`, Redis 7). Python's layer does not
    /// speak to clusters; such a site publishes through Carillon.
    public var isCluster = false
    /// The start of all topics of groups.
    public var prefix = "asgi"
    /// Secrets: the first encrypts, each is tried for what arrives; none for plain messages.
    public var encryptionKeys: [String] = []
    public var serializer = RedisSerializer.messagePack
    /// Unread messages that one channel of this process may hold; Python's layer holds any number.
    public var localCapacity = 10_000

    /// How long a client's presence in a group is believed after its process was last heard of.
    public var presenceExpiry: Duration = .seconds(60)

    public init() {}
}
