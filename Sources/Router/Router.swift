package import Logging
package import NIOCore
import NIOPosix
package import Settings
import Synchronization
package import Upstream

/// Takes browsers' connections: those for the gateways are handed over or tunnelled, all others are proxied to the workers.
package final class Router: Sendable {
    private let configuration: RouterConfiguration
    private let metrics: RouterMetrics
    private let logger: Logger
    /// By `PoolNumber`.
    private let clients: [UpstreamClient?]
    /// Whether the workers' client is this router's alone, and ends with it.
    private let ownsWorkers: Bool
    private let accessLog = Mutex<AccessLog?>(nil)
    /// From `start` on, where there is TLS.
    private let tls = Mutex<TLSStore?>(nil)
    private let shards: [(eventLoop: any EventLoop, shard: NIOLoopBoundBox<ProxyShard?>)]
    private let doorman = Mutex<Doorman?>(nil)
    private let turn = Turn()

    /// Whose turn it is to take the next connection.
    private final class Turn: Sendable {
        private let count = Atomic<UInt>(0)
        func next(of loops: Int) -> Int { Int(self.count.wrappingAdd(1, ordering: .relaxed).oldValue % UInt(loops)) }
    }

    /// Nothing is opened before `start`.
    ///
    /// - Parameters:
    ///   - group: event loops of NIOPosix.
    ///   - workers: the client to ask the workers with, when it is shared with others in this process.
    package init(
        _ configuration: RouterConfiguration, group: any EventLoopGroup, workers: UpstreamClient? = nil,
        metrics: RouterMetrics = RouterMetrics(), logger: Logger
    ) {
        self.configuration = configuration
        self.metrics = metrics
        self.logger = logger
        self.ownsWorkers = workers == nil
        self.clients =
            [
                workers ?? UpstreamClient(configuration.workers, group: group, logger: logger),
                Self.tunnels(configuration).map { UpstreamClient($0, group: group, logger: logger) },
            ] + configuration.pools.map { UpstreamClient($0.upstreams, group: group, logger: logger) }
        self.shards = group.makeIterator().map {
            ($0, NIOLoopBoundBox.makeEmptyBox(valueType: ProxyShard.self, eventLoop: $0))
        }
    }

    /// The way to the gateways for what cannot be handed over; `nil` when none of them answers HTTP.
    private static func tunnels(_ configuration: RouterConfiguration) -> UpstreamConfiguration? {
        let addresses = configuration.gateways.compactMap(\.address)
        guard !addresses.isEmpty else { return nil }
        var tunnels = UpstreamConfiguration(addresses: addresses)
        // Each tunnel is a connection for hours, and an event stream's silence is bounded by the gateway's keep-alives.
        tunnels.maxConnections = 1 << 20
        tunnels.idleTime = configuration.tunnelIdleTime
        return tunnels
    }

    /// Where it listens, with the ports the system chose; empty before `start`.
    package var boundAddresses: [ListenAddress] { self.doorman.withLock { $0?.boundAddresses ?? [] } }

    /// The same where browsers speak TLS.
    package var secureAddresses: [ListenAddress] { self.doorman.withLock { $0?.secureAddresses ?? [] } }

    /// Opens the listening sockets and begins to accept.
    ///
    /// - Throws: `ListenError` when one of the addresses cannot be listened on; then none is. What is wrong with a file that
    ///   is needed.
    package func start() async throws {
        try self.configuration.checkFiles()
        let tls =
            try self.configuration.secureListen.isEmpty
            ? nil : TLSStore(self.configuration.tls, logger: self.logger)
        self.tls.withLock { $0 = tls }
        let accessLog = try self.configuration.accessLog.map {
            try AccessLog($0, metrics: self.metrics, logger: self.logger)
        }
        self.accessLog.withLock { $0 = accessLog }
        for (eventLoop, box) in self.shards {
            try await eventLoop.submit {
                box.value = ProxyShard(
                    eventLoop: eventLoop, configuration: self.configuration, clients: self.clients,
                    metrics: self.metrics, logger: self.logger, accessLog: accessLog, tls: tls)
            }.get()
        }
        for client in self.clients { client?.startHealthChecks() }
        guard let first = self.shards.first?.eventLoop else { return }
        let doorman = try Doorman(
            listen: self.configuration.listen, secure: self.configuration.secureListen,
            configuration: self.doormanConfiguration, metrics: self.metrics,
            logger: self.logger, eventLoop: first
        ) { [shards = self.shards, turn = self.turn] visitor in
            let (eventLoop, box) = shards[turn.next(of: shards.count)]
            Self.adopt(visitor, eventLoop, box)
        }
        self.doorman.withLock { $0 = doorman }
        self.logger.notice(
            "Router started",
            metadata: ["address": "\(doorman.allAddresses.joined(separator: " "))"])
    }

    private var doormanConfiguration: Doorman.Configuration {
        let handoffs = self.configuration.gateways.compactMap(\.handoff)
        var result = Doorman.Configuration(
            // Without anybody to hand over to, everything is the proxy's.
            rule: PeekRule(prefix: handoffs.isEmpty ? "" : self.configuration.gatewayPath), gateways: handoffs,
            headTime: self.configuration.headTime, undecidedLimit: self.configuration.undecidedLimit,
            socketFile: self.configuration.socketFile, takeover: self.configuration.takeover)
        result.handoffTime = self.configuration.handoffTime
        return result
    }

    /// Reads the certificates anew, for new connections; those that are open keep what they began with.
    ///
    /// - Throws: what is wrong with the files; everything stays as it was then.
    package func reload(_ configuration: RouterConfiguration) throws {
        try self.tls.withLock { $0 }?.reload(configuration.tls)
    }

    /// Opens the access log anew, after its file was moved away.
    package func reopenLogs() { self.accessLog.withLock { $0 }?.reopen() }

    /// Makes a channel of the visitor's socket.
    private static func adopt(
        _ visitor: Visitor, _ eventLoop: any EventLoop, _ box: NIOLoopBoundBox<ProxyShard?>
    ) {
        ClientBootstrap(group: eventLoop)
            // A browser that has sent its request may close its half; it is answered all the same.
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let shard = box.value else { throw ChannelError.ioOnClosedChannel }
                    if visitor.isSecure {
                        guard let contexts = shard.tls?.current else { throw ChannelError.ioOnClosedChannel }
                        let entrance = TLSEntrance(
                            shard: shard, contexts: contexts, peer: visitor.peer, deadline: visitor.deadline)
                        return try entrance.install(in: channel.pipeline.syncOperations)
                    }
                    try channel.pipeline.syncOperations.addHandler(
                        ProxyHandler(shard: shard, peer: visitor.peer, deadline: visitor.deadline))
                }
            }
            .withConnectedSocket(visitor.descriptor)
            .whenFailure { _ in }
    }

    /// Stops: listening sockets close at once, idle connections too; requests that run are finished for at most `limit`.
    ///
    /// - Returns: when no connection is left.
    package func drain(within limit: TimeAmount) async {
        let doorman = self.doorman.withLock { doorman in
            defer { doorman = nil }
            return doorman
        }
        guard let doorman else { return }
        try? await doorman.stop(lastMoment: min(limit, self.configuration.lastMoment)).get()
        let drained = self.shards.map { eventLoop, box in
            eventLoop.flatSubmit { box.value?.drain() ?? eventLoop.makeSucceededVoidFuture() }
        }
        let deadlines = self.shards.map { eventLoop, box in
            eventLoop.scheduleTask(in: limit) { box.value?.closeAll() }
        }
        for future in drained { try? await future.get() }
        for deadline in deadlines { deadline.cancel() }
        for (number, client) in self.clients.enumerated() where number != PoolNumber.workers || self.ownsWorkers {
            client?.shutDown()
        }
        for (eventLoop, box) in self.shards { try? await eventLoop.submit { box.value?.flushLog() }.get() }
        let accessLog = self.accessLog.withLock { log in
            defer { log = nil }
            return log
        }
        await accessLog?.end()
    }
}
