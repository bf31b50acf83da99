public import ChannelLayer
public import Logging
public import NIOCore
import NIOPosix

/// A peer of `channels_redis.pubsub.RedisPubSubChannelLayer`: nothing is stored, a message reaches the processes that are
/// subscribed when it is sent.
///
/// Each group is one subscription of the process, whatever number of feeds and channels follow it. A subscription is
/// confirmed by Redis before `follow`, `groupAdd` and `newChannel` are done. When a connection is lost everything is
/// subscribed again, and every feed is told the gap, in which messages may have been missed.
///
/// Names of groups and channels are not checked, as in Python. A channel without `!` is a broadcast: every process that
/// waits on it gets a copy.
public final class RedisPubSubLayer: ChannelLayer {
    private let hub: RedisPubSubHub
    let transport: any RedisPubSubTransport
    private let codec: RedisMessageCodec
    /// Histories and presence.
    let kept: RedisStore
    private let groupPrefix: String
    private let processName: String
    private let observer: (any LayerObserver)?

    /// Connects at once, and reconnects for ever.
    ///
    /// - Parameters:
    ///   - loops: for the connections; `nil` takes NIO's own.
    ///   - observer: is told what is dropped.
    public convenience init(
        _ configuration: RedisPubSubConfiguration, loops: (any EventLoopGroup)? = nil,
        observer: (any LayerObserver)? = nil, logger: Logger
    ) {
        self.init(configuration, options: .init(), loops: loops, observer: observer, logger: logger)
    }

    init(
        _ configuration: RedisPubSubConfiguration, options: RedisClientOptions, loops: (any EventLoopGroup)?,
        observer: (any LayerObserver)?, logger: Logger
    ) {
        self.codec = RedisMessageCodec(
            serializer: configuration.serializer, secrets: configuration.encryptionKeys, randomPrefixLength: 0)
        self.groupPrefix = RedisTopic.groupPrefix(configuration.prefix)
        self.observer = observer
        self.processName = String(UInt64.random(in: .min ... .max), radix: 16)
        self.hub = RedisPubSubHub(configuration, codec: self.codec, observer: observer, logger: logger)
        let loops = loops ?? MultiThreadedEventLoopGroup.singleton
        if configuration.isCluster {
            self.transport = RedisCluster(
                configuration.hosts, options: options, loops: loops, logger: logger, receiver: self.hub)
        } else {
            self.transport = RedisHosts(
                configuration.hosts, options: options, loops: loops, logger: logger, receiver: self.hub)
        }
        let keys = RedisStoreKeys(
            prefix: configuration.prefix,
            topicPrefix: configuration.isCluster ? self.groupPrefix : nil)
        let topics = RedisTopicStoreTransport(transport: self.transport, groupPrefix: self.groupPrefix)
        let publisher = RedisTopicPublisher(
            keys: keys, codec: self.codec, topics: topics, isCluster: configuration.isCluster,
            isSpread: configuration.isCluster || configuration.hosts.count > 1)
        self.kept = RedisStore(
            keys, codec: self.codec, presenceExpiry: configuration.presenceExpiry, publisher: publisher,
            transport: topics, eventLoop: loops.next())
        self.hub.use(self.transport)
    }

    // MARK: Sending

    public func submit(
        _ message: LayerMessage, to channel: ChannelName, completion: (@Sendable (LayerError?) -> Void)?
    ) {
        self.publish(message, to: RedisTopic(channel), completion)
    }

    public func submit(
        _ message: LayerMessage, toGroup group: GroupName, completion: (@Sendable (LayerError?) -> Void)?
    ) {
        self.publish(message, to: RedisTopic(group, groupPrefix: self.groupPrefix), completion)
    }

    /// Encodes on the caller's thread.
    private func publish(
        _ message: LayerMessage, to topic: RedisTopic, _ completion: (@Sendable (LayerError?) -> Void)?
    ) {
        do throws(LayerError) {
            let now = self.codec.isEncrypting ? RedisClock.now() : 0
            let command = try RedisCommand.publish(to: topic, sharded: self.transport.isSharded) {
                payload throws(LayerError) in try self.codec.encode(message, at: now, into: &payload)
            }
            // The caller's own closure as it is: one of ours around it would be made for every message.
            if let completion { return self.transport.publish(command, to: topic, completion: completion) }
            self.transport.publish(command, to: topic) { [observer = self.observer] error in
                if error != nil { observer?.dropped(.unavailable, name: topic.shownName, count: 1) }
            }
        } catch {
            if let completion { return completion(error) }
            self.observer?.dropped(.invalid, name: topic.shownName, count: 1)
        }
    }

    // MARK: Receiving

    public func receive(from channel: ChannelName) async throws(LayerError) -> LayerMessage {
        guard !Task.isCancelled else { throw LayerError(.cancelled, "the waiting task was cancelled") }
        try await self.hub.add(channel)
        return try await self.hub.local.receive(from: channel)
    }

    /// A fresh name, subscribed when this returns.
    public func newChannel(prefix: String = "specific") async throws(LayerError) -> ChannelName {
        let local = String(UInt64.random(in: .min ... .max), radix: 16)
        let channel = try ChannelName("\(prefix).\(self.processName)!\(local)")
        try await self.hub.add(channel)
        return channel
    }

    // MARK: Groups

    /// - Throws: `unsupported` for a channel that is not read by this process.
    public func groupAdd(_ group: GroupName, _ channel: ChannelName) async throws(LayerError) {
        try await self.hub.join(group, channel)
    }

    public func groupDiscard(_ group: GroupName, _ channel: ChannelName) async throws(LayerError) {
        try await self.hub.leave(group, channel)
    }

    /// Any text that is not empty, of at most 1024 bytes: Python's layer checks nothing.
    public func groupName(_ text: String) throws(LayerError) -> GroupName {
        guard (1...1_024).contains(text.utf8.count) else {
            throw LayerError(.invalidName, "a group's name has 1 to 1024 bytes, this one has \(text.utf8.count)")
        }
        return GroupName(unchecked: text)
    }

    public var store: (any GroupStore)? { self.kept }

    public func openFeed(_ listener: any GroupFeedListener) -> any GroupFeed {
        let feed = RedisPubSubFeed(listener, messages: self.hub.local.openFeed(listener), of: self.hub)
        self.hub.open(feed)
        return feed
    }

    // MARK: The end

    /// Only this process forgets: messages are not stored anywhere, and what is kept of groups stays.
    public func flush() async throws(LayerError) { try await self.hub.flush() }

    public func close() async {
        self.kept.close()
        await self.hub.local.close()
        await self.transport.close()
    }
}
