public import ChannelLayer
public import Logging
public import NIOCore
import NIOPosix
import Synchronization

/// A peer of `channels_redis.core.RedisChannelLayer`: any number of processes, in Python and in Swift, send to each
/// other's channels and groups through one or more Redis servers, which store each message until it is read.
///
/// At most once and in order, as every layer. A message is lost when its time (`expiry`) is over, when its mailbox is full
/// (`capacity`, counted for all channels of a process together), and when the connection breaks while Redis hands it over;
/// the first two are counted, of the third every feed is told.
///
/// One event loop does everything that is not done on the callers' threads; it is nobody else's, so that reading goes on
/// however long others work.
public final class RedisLayer: ChannelLayer {
    let core: RedisLayerCore
    let queue: RedisSendQueue
    /// Histories and presence.
    let kept: RedisStore
    private let processName: String
    /// How many inboxes there were.
    private let inboxes = Atomic<UInt64>(0)

    static let closed = LayerError(.closed, "the layer was closed")

    /// Connects at once, and reconnects for ever.
    ///
    /// - Parameters:
    ///   - eventLoop: one to itself; `nil` takes a thread of NIO's own group.
    ///   - observer: is told what is dropped.
    ///   - now: seconds since 1970; a test moves its own clock.
    public convenience init(
        _ configuration: RedisLayerConfiguration, eventLoop: (any EventLoop)? = nil,
        observer: (any LayerObserver)? = nil, logger: Logger,
        now: @escaping @Sendable () -> Double = { RedisLayer.wallClock() }
    ) {
        var options = RedisClientOptions()
        options.patience = .seconds(3)
        self.init(configuration, options: options, eventLoop: eventLoop, observer: observer, logger: logger, now: now)
    }

    init(
        _ configuration: RedisLayerConfiguration, options: RedisClientOptions, eventLoop: (any EventLoop)? = nil,
        observer: (any LayerObserver)?, logger: Logger,
        now: @escaping @Sendable () -> Double = { RedisLayer.wallClock() }
    ) {
        let loop = eventLoop ?? MultiThreadedEventLoopGroup.singleton.next()
        self.processName = Self.randomHexadecimal()
        self.queue = RedisSendQueue()
        self.core = RedisLayerCore(
            configuration, options: options, queue: self.queue, processName: self.processName, eventLoop: loop,
            observer: observer, logger: logger, now: now)
        self.kept = RedisStore(
            self.core.storeKeys, codec: self.core.codec, presenceExpiry: configuration.limits.presenceExpiry,
            publisher: RedisCorePublisher(core: self.core, queue: self.queue), transport: self.core, eventLoop: loop)
        self.core.start()
    }

    /// Seconds since 1970.
    public static func wallClock() -> Double { RedisClock.now() }

    /// 32 digits, as Python's names have.
    private static func randomHexadecimal() -> String {
        let digits = (0..<2).map { _ in String(UInt64.random(in: .min ... .max), radix: 16) }
        return digits.map { String(repeating: "0", count: 16 - $0.count) + $0 }.joined()
    }

    // MARK: Sending

    public func submit(
        _ message: LayerMessage, to channel: ChannelName, completion: (@Sendable (LayerError?) -> Void)?
    ) {
        self.submit(.channel(channel), completion) { codec, now throws(LayerError) in
            try codec.encode(message, for: channel.nonLocalPart == nil ? nil : channel, at: now)
        }
    }

    public func submit(
        _ message: LayerMessage, toGroup group: GroupName, completion: (@Sendable (LayerError?) -> Void)?
    ) {
        self.submit(.group(group), completion) { codec, _ throws(LayerError) in try codec.encodeOpen(message) }
    }

    /// Encodes on the caller's thread.
    private func submit(
        _ target: RedisOutgoing.Target, _ completion: (@Sendable (LayerError?) -> Void)?,
        encode: (RedisMessageCodec, Double) throws(LayerError) -> ByteBuffer
    ) {
        let now = self.core.now()
        do throws(LayerError) {
            let outgoing = RedisOutgoing(
                target: target, bytes: try encode(self.core.codec, now), score: now, completion: completion)
            switch self.queue.offer(outgoing) {
            case .first: self.core.eventLoop.execute { self.core.sendWaiting() }
            case .more: break
            case .refused(let error): throw error
            }
        } catch {
            if let completion { return completion(error) }
            self.core.observer?.dropped(error.drop, name: target.name, count: 1)
        }
    }

    // MARK: Receiving

    public func receive(from channel: ChannelName) async throws(LayerError) -> LayerMessage {
        let reader = RedisReader()
        let (core, loop) = (self.core, self.core.eventLoop)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                loop.execute { core.receive(from: channel, reader, continuation) }
            }
        } onCancel: {
            loop.execute { core.cancel(reader, channel) }
        }
        return try result.get()
    }

    public func newChannel(prefix: String = "specific") async throws(LayerError) -> ChannelName {
        try ChannelName("\(prefix).\(self.processName)!\(Self.randomHexadecimal())")
    }

    // MARK: Groups

    public func groupAdd(_ group: GroupName, _ channel: ChannelName) async throws(LayerError) {
        try await Self.outcome { done in
            self.core.eventLoop.execute { self.core.add(channel, to: group, completion: done) }
        }
    }

    public func groupDiscard(_ group: GroupName, _ channel: ChannelName) async throws(LayerError) {
        try await Self.outcome { done in
            self.core.eventLoop.execute { self.core.discard(channel, from: group, completion: done) }
        }
    }

    public var store: (any GroupStore)? { self.kept }

    public func openFeed(_ listener: any GroupFeedListener) -> any GroupFeed {
        let feed = RedisFeed(listener, of: self.core)
        self.core.eventLoop.execute { self.core.open(feed) }
        return feed
    }

    public func openInbox(_ listener: any InboxListener) -> (any Inbox)? {
        let number = self.inboxes.wrappingAdd(1, ordering: .relaxed).newValue
        let name = "\(self.core.gatewayMailbox)c.\(String(number, radix: 36))"
        let inbox = RedisInboxChannel(ChannelName(unchecked: name), listener, of: self.core)
        self.core.eventLoop.execute { self.core.open(inbox) }
        return inbox
    }

    // MARK: The end

    /// Deletes every key whose name begins with the prefix, on all hosts; also those that others wrote there.
    public func flush() async throws(LayerError) {
        guard !self.queue.isClosed else { throw Self.closed }
        try await self.core.flush()
    }

    /// Leaves all groups and deletes this process's own keys, when Redis answers within two seconds; what is left then
    /// expires by itself.
    public func close() async {
        self.queue.close()
        self.kept.close()
        await withCheckedContinuation { continuation in
            self.core.eventLoop.execute { self.core.leave { continuation.resume() } }
        }
        for shard in self.core.shards { await shard.close() }
    }
}
