import ChannelLayer
import Logging
import NIOCore
import Synchronization
import Telemetry

/// Between the transport and the channels and feeds of this process: each message is decoded once, and then goes its way
/// as in a layer of one process, which knows everything about queues, readers and feeds.
final class RedisPubSubHub: RedisPubSubReceiver {
    private struct State {
        var interest = RedisInterest()
        var feeds: [ObjectIdentifier: RedisPubSubFeed] = [:]
        var isInterrupted = false
    }

    /// Delivers within this process.
    let local: MemoryLayer
    private let codec: RedisMessageCodec
    private let groupPrefix: String
    private let observer: (any LayerObserver)?
    private let log: BoundedLog
    private let state = Mutex(State())
    /// Set once, before anything else is called.
    private let transportBox = Mutex<(any RedisPubSubTransport)?>(nil)

    init(
        _ configuration: RedisPubSubConfiguration, codec: RedisMessageCodec, observer: (any LayerObserver)?,
        logger: Logger
    ) {
        var limits = LayerConfiguration()
        limits.capacity = configuration.localCapacity
        // Nothing expires in pub/sub.
        limits.expiry = .seconds(10 * 365 * 86_400)
        limits.groupExpiry = limits.expiry
        self.local = MemoryLayer(configuration: limits, observer: observer)
        self.codec = codec
        self.groupPrefix = RedisTopic.groupPrefix(configuration.prefix)
        self.observer = observer
        self.log = BoundedLog(logger)
    }

    private var transport: (any RedisPubSubTransport)? { self.transportBox.withLock { $0 } }

    func use(_ transport: any RedisPubSubTransport) { self.transportBox.withLock { $0 = transport } }

    // MARK: Messages

    func arrived(_ payload: ByteBuffer, on topic: RedisTopic) {
        do throws(RedisMessageCodec.Fault) {
            let message = try self.codec.decode(payload).message
            switch topic.target {
            case .group(let group): self.local.submit(message, toGroup: group, completion: nil)
            case .channel(let channel): self.local.submit(message, to: channel, completion: nil)
            }
        } catch {
            self.observer?.dropped(error.reason, name: topic.shownName, count: 1)
            self.log.log(
                .warning, "A message cannot be read",
                metadata: [LogKey.channel: "\(topic.name)", LogKey.error: "\(error.description)"])
        }
    }

    // MARK: Gaps

    func interrupted(_ error: RedisError) {
        let feeds = self.state.withLock { state in
            state.isInterrupted = true
            return Array(state.feeds.values)
        }
        for feed in feeds { feed.interrupt(error.layerError) }
    }

    func restored() {
        let feeds = self.state.withLock { state in
            state.isInterrupted = false
            return Array(state.feeds.values)
        }
        for feed in feeds { feed.restore() }
    }

    // MARK: Feeds

    func open(_ feed: RedisPubSubFeed) { self.state.withLock { $0.feeds[ObjectIdentifier(feed)] = feed } }

    func follow(
        _ group: GroupName, by feed: RedisPubSubFeed, ready: @escaping @Sendable (LayerError?) -> Void
    ) {
        self.state.withLock { state in
            let isNew = state.interest.follow(group, by: ObjectIdentifier(feed))
            // Within the lock, so that it cannot change places with an end.
            self.subscribe(RedisTopic(group, groupPrefix: self.groupPrefix)) { error in
                // What was followed before goes on being followed.
                if error != nil, isNew { feed.unfollow(group) }
                ready(error)
            }
        }
    }

    func unfollow(_ group: GroupName, by feed: RedisPubSubFeed) {
        self.state.withLock { state in
            if state.interest.unfollow(group, by: ObjectIdentifier(feed)) { self.unsubscribe([group]) }
        }
    }

    func close(_ feed: RedisPubSubFeed) {
        self.state.withLock { state in
            state.feeds[ObjectIdentifier(feed)] = nil
            self.unsubscribe(state.interest.close(ObjectIdentifier(feed)))
        }
    }

    // MARK: Channels

    /// Hears `channel` from now on.
    func add(_ channel: ChannelName) async throws(LayerError) {
        if self.state.withLock({ $0.interest.channels.contains(channel) }) { return }
        guard !channel.text.hasPrefix(self.groupPrefix) else {
            throw LayerError(.unsupported, "\(channel) is the name of a group's messages; name the channel otherwise")
        }
        let (error, isNew) = await withCheckedContinuation { continuation in
            self.state.withLock { state in
                let isNew = state.interest.add(channel)
                self.subscribe(RedisTopic(channel)) { continuation.resume(returning: ($0, isNew)) }
            }
        }
        guard let error else { return }
        if isNew {
            self.state.withLock { state in
                state.interest.remove(channel)
                self.transport?.unsubscribe(RedisTopic(channel))
            }
        }
        throw error
    }

    func join(_ group: GroupName, _ channel: ChannelName) async throws(LayerError) {
        let isOurs = self.state.withLock { $0.interest.channels.contains(channel) }
        guard isOurs else {
            throw LayerError(
                .unsupported, "\(channel) is read by another process; only a channel's own process can add it")
        }
        try await self.local.groupAdd(group, channel)
        let (error, isNew) = await withCheckedContinuation { continuation in
            self.state.withLock { state in
                let isNew = state.interest.join(group, channel)
                self.subscribe(RedisTopic(group, groupPrefix: self.groupPrefix)) {
                    continuation.resume(returning: ($0, isNew))
                }
            }
        }
        guard let error else { return }
        if isNew { try await self.leave(group, channel) }
        throw error
    }

    func leave(_ group: GroupName, _ channel: ChannelName) async throws(LayerError) {
        try await self.local.groupDiscard(group, channel)
        self.state.withLock { state in
            if state.interest.leave(group, channel) { self.unsubscribe([group]) }
        }
    }

    func flush() async throws(LayerError) {
        await self.transport?.settle()
        try await self.local.flush()
        self.state.withLock { state in self.unsubscribe(state.interest.removeMembers()) }
    }

    // MARK: Subscriptions

    private func subscribe(_ topic: RedisTopic, _ ready: @escaping @Sendable (LayerError?) -> Void) {
        self.transport?.subscribe(topic) { ready($0?.layerError) }
    }

    private func unsubscribe(_ groups: [GroupName]) {
        for group in groups { self.transport?.unsubscribe(RedisTopic(group, groupPrefix: self.groupPrefix)) }
    }
}
