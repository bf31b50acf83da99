public import ChannelLayer
public import Logging
import NIOCore
import NIOPosix
import Synchronization

/// The layer over RabbitMQ: a peer of `channels_rabbitmq` and of whoever publishes to the same exchange with kombu.
///
/// Two connections on two threads. One consumes: the process has a queue of its own, bound once for each group that
/// anybody here is in. The other publishes, with many confirms on their way at once. What arrives is handed on by a memory
/// layer, which is the part of the layer that is in this process.
///
/// Both reconnect by themselves. What was on its way then is never sent again, because it may have arrived; what waited
/// to be sent is sent after the reconnect, unless that takes longer than `timeout`.
///
/// What is particular: channels without `!` are durable queues that only Carillon's processes read; only channels of this
/// process can be members of groups; there is no `flush`. Capacity is that of the process's queue and, for each channel,
/// that of what is held in this process.
public final class RabbitMQLayer: ChannelLayer {
    private let configuration: RabbitMQConfiguration
    private let observer: (any LayerObserver)?
    private let outbox: Outbox
    private let home: ProcessState
    private let process: String
    private let lastID = Atomic<UInt64>(0)
    private let threads: LayerThreads
    /// Histories and presence.
    let log: GroupLog

    /// Connects in the background: what is sent meanwhile waits.
    ///
    /// - Parameters:
    ///   - observer: is told what is dropped.
    ///   - logger: hears of connections, lost ones and refusals.
    public init(
        configuration: RabbitMQConfiguration, observer: (any LayerObserver)? = nil,
        logger: Logger = Logger(label: "rabbitmq")
    ) {
        self.configuration = configuration
        self.observer = observer
        self.outbox = Outbox(configuration, observer: observer)
        self.home = ProcessState(configuration, outbox: self.outbox, observer: observer)
        self.process = String(UInt64.random(in: .min ... .max), radix: 36)
        let topology = Topology(configuration, process: self.process)
        let publish = PublishLoop(
            configuration: configuration, topology: topology, outbox: self.outbox, observer: observer, logger: logger,
            exchangeVanished: self.home.lostBindings)
        let consume = ConsumeLoop(configuration: configuration, topology: topology, home: self.home, logger: logger)
        self.log = GroupLog(configuration, process: self.process, outbox: self.outbox, local: self.home.local)
        self.home.use(self.log)
        let read = LogLoop(configuration: configuration, topology: topology, log: self.log, logger: logger)
        self.threads = LayerThreads([
            ("carillon-mq-pub", publish.run), ("carillon-mq-sub", consume.run), ("carillon-mq-log", read.run),
        ])
    }

    deinit {
        // Who lets go of a layer without closing it gets no answers any more, but leaves no threads behind.
        self.log.close()
        self.outbox.close()
        self.home.end()
    }

    /// What the names of this process's queues hold, for tests.
    var processName: String { self.process }

    /// How many groups and queues this process has in the broker, for tests of what is let go.
    package var needCount: Int { self.home.needCount }

    // MARK: Sending

    public func submit(
        _ message: LayerMessage, to channel: ChannelName, completion: (@Sendable (LayerError?) -> Void)?
    ) {
        let name = channel.text
        if let process = channel.nonLocalPart {
            // A queue's name is what stands before the "!".
            self.submit(message, .process, String(process.dropLast()), Arrival.channelKey, name, completion)
        } else {
            self.submit(message, .normalChannel, Topology.normalPrefix + name, Arrival.channelKey, name, completion)
        }
    }

    public func submit(
        _ message: LayerMessage, toGroup group: GroupName, completion: (@Sendable (LayerError?) -> Void)?
    ) {
        self.submit(message, .group, group.text, Arrival.groupKey, group.text, completion)
    }

    private func submit(
        _ message: LayerMessage, _ target: Submission.Target, _ key: String, _ reservedKey: String, _ name: String,
        _ completion: (@Sendable (LayerError?) -> Void)?
    ) {
        do throws(LayerError) {
            let body = try message.encoded(adding: reservedKey, name)
            self.outbox.offer(
                Submission(
                    target: target, key: key, name: name, body: body, deadline: .now + self.configuration.timeout,
                    completion: completion))
        } catch {
            if let completion { return completion(error) }
            self.observer?.dropped(.invalid, name: name, count: 1)
        }
    }

    // MARK: Receiving

    public func receive(from channel: ChannelName) async throws(LayerError) -> LayerMessage {
        guard let process = channel.nonLocalPart else { return try await self.receive(fromNormal: channel) }
        guard process.dropLast().hasSuffix(".\(self.process)") else {
            throw LayerError(.unsupported, "\(channel) belongs to another process, which alone can read it")
        }
        return try await self.home.local.receive(from: channel)
    }

    private func receive(fromNormal channel: ChannelName) async throws(LayerError) -> LayerMessage {
        self.home.demand.begin(channel)
        self.home.waker.wake()
        do throws(LayerError) {
            let message = try await self.home.local.receive(from: channel)
            self.home.demand.end(channel, hasMessage: true)
            self.home.waker.wake()
            return message
        } catch {
            self.home.demand.end(channel, hasMessage: false)
            self.home.waker.wake()
            throw error
        }
    }

    public func newChannel(prefix: String) async throws(LayerError) -> ChannelName {
        let local = self.lastID.wrappingAdd(1, ordering: .relaxed).newValue
        let name = try ChannelName("\(prefix).\(self.process)!\(String(local, radix: 36))")
        try await Self.outcome { self.home.want(.ownQueue(prefix: prefix), by: .layer, $0) }
        return name
    }

    // MARK: Groups

    public func groupAdd(_ group: GroupName, _ channel: ChannelName) async throws(LayerError) {
        guard let process = channel.nonLocalPart, process.dropLast().hasSuffix(".\(self.process)") else {
            throw LayerError(
                .unsupported,
                "only channels that this process made can be members of groups on RabbitMQ; \(channel) is not")
        }
        // Entered first, so that nothing is missed from the moment the binding is there.
        try await self.home.local.groupAdd(group, channel)
        do throws(LayerError) {
            try await Self.outcome { self.home.want(.group(group), by: .channel(channel), $0) }
        } catch {
            try await self.home.local.groupDiscard(group, channel)
            throw error
        }
    }

    public func groupDiscard(_ group: GroupName, _ channel: ChannelName) async throws(LayerError) {
        try await self.home.local.groupDiscard(group, channel)
        self.home.release(.group(group), by: .channel(channel))
    }

    public var store: (any GroupStore)? { self.log }

    public func openFeed(_ listener: any GroupFeedListener) -> any GroupFeed {
        let feed = RabbitMQFeed(listener, of: self.home)
        if self.home.isClosed { feed.end() } else { self.home.add(feed) }
        return feed
    }

    // MARK: The end

    /// - Throws: `unsupported`: nobody can know all queues of a broker.
    public func flush() async throws(LayerError) {
        throw LayerError(.unsupported, "RabbitMQ has no flush; purge queues with rabbitmqctl purge_queue")
    }

    /// What waits to be sent is sent first, for two seconds at most.
    public func close() async {
        self.log.close()
        self.outbox.close()
        await self.home.close()
        await self.threads.ended(within: .seconds(3))
    }
}
