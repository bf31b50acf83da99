import ChannelLayer
import Logging
import NIOCore

/// What a `RedisLayer` does on its event loop, and knows there.
///
/// `@unchecked Sendable`: whatever varies is touched on `eventLoop` only, `shards` except: it never changes after `start`,
/// which runs before anybody else has the layer.
final class RedisLayerCore: @unchecked Sendable {
    let configuration: RedisLayerConfiguration
    let codec: RedisMessageCodec
    let keys: RedisKeys
    let eventLoop: any EventLoop
    let observer: (any LayerObserver)?
    let logger: Logger
    /// Seconds since 1970.
    let now: @Sendable () -> Double
    let queue: RedisSendQueue
    let options: RedisClientOptions
    private(set) var shards: [RedisShard] = []

    /// What the names of mailboxes of this process end with.
    private let processMark: String
    /// Where messages for feeds and inboxes arrive.
    let gatewayMailbox: String
    /// A key that makes blocked readers look up; nothing else uses it.
    let wakeMailbox: String

    var inbox = RedisInbox()
    var followings: RedisFollowings
    var feeds: [RedisFeed] = []
    /// By the full name of their channel.
    var inboxes: [String: RedisInboxChannel] = [:]
    /// Memberships of this process's own channels, with the time they end: restored after a loss, removed at the end.
    var memberships: [RedisMembership: Double] = [:]
    /// Memberships that may be there although nobody wants them, because the answer to their making got lost.
    var orphans: Set<RedisMembership> = []
    /// Why messages may be missed now.
    var interruption: LayerError?
    /// Where the next normal message goes.
    var turn = 0
    var isClosed = false
    /// Sent messages; kept for its memory.
    var batch: [RedisOutgoing] = []
    private var timers: [RepeatedTask] = []

    init(
        _ configuration: RedisLayerConfiguration, options: RedisClientOptions, queue: RedisSendQueue,
        processName: String,
        eventLoop: any EventLoop, observer: (any LayerObserver)?, logger: Logger, now: @escaping @Sendable () -> Double
    ) {
        self.configuration = configuration
        self.options = options
        self.codec = RedisMessageCodec(
            serializer: configuration.serializer, secrets: configuration.encryptionKeys,
            randomPrefixLength: configuration.randomPrefixLength)
        self.keys = RedisKeys(prefix: configuration.prefix)
        self.queue = queue
        self.eventLoop = eventLoop
        self.observer = observer
        self.logger = logger
        self.now = now
        self.processMark = ".\(processName)!"
        self.wakeMailbox = "wake.\(processName)!"
        self.gatewayMailbox = "\(RedisLayerConfiguration.gatewayMark)\(processName)!"
        self.followings = RedisFollowings(mailbox: self.gatewayMailbox)
    }

    /// Begins to connect. Before the layer is handed out.
    func start() {
        self.shards = self.configuration.hosts.enumerated().map { RedisShard($0, $1, self) }
        for shard in self.shards { shard.start() }
        self.eventLoop.execute { self.startTimers() }
    }

    private func startTimers() {
        // A third of their life: two attempts may fail.
        let renewal = TimeAmount.seconds(max(1, self.configuration.groupExpirySeconds / 3))
        self.timers = [
            self.repeat(every: renewal) { $0.renewMemberships() },
            self.repeat(every: .seconds(2)) { $0.lookAfter() },
        ]
    }

    private func `repeat`(
        every time: TimeAmount, _ body: @escaping @Sendable (RedisLayerCore) -> Void
    ) -> RepeatedTask {
        self.eventLoop.scheduleRepeatedTask(initialDelay: time, delay: time) { [weak self] _ in
            if let self, !self.isClosed { body(self) }
        }
    }

    /// Every two seconds: what nobody read goes, and what Redis forgot is found.
    private func lookAfter() {
        for (channel, count) in self.inbox.sweep(at: self.now()) {
            self.observer?.dropped(.expired, name: channel, count: count)
        }
        for shard in self.shards { self.checkMembership(on: shard) }
    }

    /// Whether this process alone reads the mailbox.
    func isOwn(_ mailbox: some StringProtocol) -> Bool { mailbox.hasSuffix(self.processMark) }

    /// The host that is responsible for a name.
    func shard(of name: some StringProtocol) -> RedisShard {
        self.shards[RedisSharding.shard(of: name, hosts: self.shards.count)]
    }

    func shard(of group: GroupName) -> RedisShard { self.shard(of: group.text) }

    // MARK: The end

    /// Ends all waits and feeds, and takes this process's traces out of Redis.
    func leave(_ completion: @escaping @Sendable () -> Void) {
        guard !self.isClosed else { return completion() }
        self.isClosed = true
        self.sendWaiting()
        for timer in self.timers { timer.cancel() }
        for reader in self.inbox.takeReaders() { reader.resume(.failure(RedisLayer.closed)) }
        for feed in self.feeds {
            feed.end()
            feed.silence()
        }
        for following in self.followings.all { self.answer(following, RedisLayer.closed) }
        self.feeds = []
        self.inboxes = [:]
        self.removeTraces().whenComplete { _ in completion() }
    }

    /// - Returns: done when every host has answered, or after two seconds.
    private func removeTraces() -> EventLoopFuture<Void> {
        let memberships =
            self.followings.all.map { RedisMembership(group: $0.group, channel: $0.channel) } + self.memberships.keys
            + self.orphans
        let mailboxes = Set(
            [self.gatewayMailbox, self.wakeMailbox] + self.memberships.keys.map(\.channel.mailbox))
        let promise = self.eventLoop.makePromise(of: Void.self)
        let answers = self.shards.map { shard in
            shard.remove(memberships.filter { self.shard(of: $0.group) === shard }, mailboxes: mailboxes)
        }
        EventLoopFuture.andAllComplete(answers, on: self.eventLoop).cascade(to: promise)
        self.eventLoop.assumeIsolated().scheduleTask(in: .seconds(2)) { promise.succeed() }
        return promise.futureResult
    }
}

/// A channel in a group.
struct RedisMembership: Hashable, Sendable {
    let group: GroupName
    let channel: ChannelName
}
