/// What every layer is held to; named as in Django's `CHANNEL_LAYERS`.
public struct LayerConfiguration: Sendable {
    /// Messages one channel may hold.
    public var capacity = 100
    /// Capacities of channels whose name matches a pattern; the first match counts.
    public var channelCapacity: [(pattern: CapacityPattern, capacity: Int)] = []
    /// How long an unread message lives.
    public var expiry: Duration = .seconds(60)
    /// How long a membership lives after the last `groupAdd`.
    public var groupExpiry: Duration = .seconds(86_400)

    /// How long a client's presence in a group is believed after its process was last heard of.
    public var presenceExpiry: Duration = .seconds(60)

    public init() {}

    /// Messages that `channel` may hold.
    public func capacity(of channel: ChannelName) -> Int {
        self.channelCapacity.first { $0.pattern.matches(channel.text) }?.capacity ?? self.capacity
    }
}
