package import ChannelLayer
import Glibc
package import Logging
package import NIOCore
import NIOPosix
package import Settings
import Synchronization
import Telemetry
package import Upstream

/// A gateway: listens, or is handed sockets, and serves browsers on its event loops until it is drained.
package final class GatewayServer: Sendable {
    private struct State {
        var listeners: [(address: ListenAddress, channel: any Channel)] = []
        var receiver: HandoffReceiver?
        /// From the gateway before, until `listen` wants them.
        var inherited = ListeningSockets()
        var offer: TakeoverOffer?
    }

    package let context: GatewayContext
    private let group: any EventLoopGroup
    private let loops: [any EventLoop]
    private let turn = Atomic<Int>(0)
    private let state = Mutex(State())

    /// - Parameters:
    ///   - name: what people call it, host and port for example; told by `/api/info` with the version.
    ///   - layer: what carries the messages; the gateway does not close it.
    ///   - eventLoopGroup: every loop of it gets a shard of the hub.
    ///   - ask: how a worker is asked (authentication, messages for a worker); `nil` when no worker is configured.
    ///   - workers: the same, for questions about browsers' events, which have limits of their own.
    ///   - runsClock: whether seconds pass by themselves; tests move them (`Hub.passSecond`).
    package init(
        configuration: GatewayConfiguration, name: String = "gateway", version: String = "",
        layer: any ChannelLayer, eventLoopGroup: any EventLoopGroup,
        ask: AskWorker? = nil, workers: UpstreamClient? = nil, logger: Logger,
        metrics: GatewayMetrics = GatewayMetrics(), runsClock: Bool = true
    ) throws {
        self.group = eventLoopGroup
        self.loops = Array(eventLoopGroup.makeIterator())
        self.context = try GatewayContext(
            configuration: configuration, name: name, version: version, layer: layer, eventLoops: self.loops,
            ask: ask ?? Self.nobody,
            tell: configuration.lifecycle?.asking(workers, group: eventLoopGroup, logger: logger),
            proxies: configuration.client.map {
                ProxyEndpoints($0, workers: workers, group: eventLoopGroup, logger: logger)
            } ?? ProxyEndpoints(), logger: logger, metrics: metrics)
        self.context.start(runsClock: runsClock)
        for keySet in configuration.keySets {
            keySet.use(
                UpstreamClient(
                    UpstreamConfiguration(addresses: [keySet.address]), group: eventLoopGroup, logger: logger))
        }
    }

    /// For when no worker is known.
    static let nobody: AskWorker = { _, loop in loop.makeFailedFuture(NoWorkers()) }

    // MARK: Listening

    /// Starts to accept browsers, and on a Unix socket also routers' hand-offs (`<path>.handoff`).
    ///
    /// - Parameter socketMode: permission bits of a Unix socket's files.
    /// - Returns: the address with the port that was chosen, for port 0.
    @discardableResult
    package func listen(on address: ListenAddress, socketMode: UInt32 = 0o600) async throws -> ListenAddress {
        let listener = try await self.bind(address)
        self.state.withLock { $0.listeners.append((address, listener)) }
        if case .unix(let path) = address {
            guard chmod(path, socketMode) == 0 else { throw IOError(errnoCode: errno, reason: "chmod \(path)") }
            try self.receiveHandoffs(at: path + ".handoff", mode: socketMode)
        }
        return address.bound(toPort: listener.localAddress?.port)
    }

    private func bind(_ address: ListenAddress) async throws -> any Channel {
        let context = self.context
        let shards = self.context.hub.shards
        let bootstrap = ServerBootstrap(group: self.group)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            // Many browsers come at once after a restart: take more than the usual four per turn.
            .serverChannelOption(.maxMessagesPerRead, value: 64)
            .childChannelOption(.maxMessagesPerRead, value: ReceiveBuffers.messagesPerRead)
            .childChannelOption(.recvAllocator, value: ReceiveBuffers())
            .childChannelInitializer { channel in
                Self.initialize(channel, context: context, shards: shards)
            }
        if let inherited = self.state.withLock({ $0.inherited.take(address) }) {
            return try await bootstrap.withBoundSocket(inherited).get()
        }
        switch address {
        case .tcp(let host, let port): return try await bootstrap.bind(host: host, port: port).get()
        case .unix(let path):
            return try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
        case .descriptor(let number): return try await bootstrap.withBoundSocket(number).get()
        }
    }

    private static func initialize(
        _ channel: any Channel, context: GatewayContext, shards: [HubShard],
        continuing continuation: ConnectionHandler.Continuation? = nil
    ) -> EventLoopFuture<Void> {
        let eventLoop = channel.eventLoop
        guard let shard = shards.first(where: { $0.eventLoop === eventLoop }) else {
            return eventLoop.makeFailedFuture(ChannelError.operationUnsupported)
        }
        do {
            try channel.pipeline.syncOperations.addHandler(
                ConnectionHandler(context: context, shard: shard, continuing: continuation))
            return eventLoop.makeSucceededVoidFuture()
        } catch {
            return eventLoop.makeFailedFuture(error)
        }
    }

    // MARK: Handed sockets

    private func receiveHandoffs(at path: String, mode: UInt32) throws {
        let inherited = self.state.withLock { $0.inherited.takeHandoff(at: path) }
        try self.receive(from: inherited ?? HandoffReceiver.bind(path, mode: mode))
    }

    private func receive(from sockets: ListeningSockets.Handoff) throws {
        let context = self.context
        let receiver = try HandoffReceiver(
            sockets,
            adopt: { [weak self] in
                if let self { self.adopt(descriptor: $0) } else { close($0) }
            },
            connections: { context.connectionCount },
            rejected: { context.handoffRejected($0) })
        try receiver.start()
        self.state.withLock { $0.receiver = receiver }
    }

    /// Takes over a browser's connected socket, from which nothing was read. From any thread, does not block. A stopping
    /// gateway answers it with 503.
    package func adopt(descriptor: CInt) {
        self.context.metrics.handoffs.increment()
        self.connect(descriptor, on: self.nextLoop, continuing: nil)
            .whenFailure { [context = self.context] error in context.adoptionFailed(error) }
    }

    private var nextLoop: any EventLoop {
        let turn = self.turn.wrappingAdd(1, ordering: .relaxed).oldValue & .max
        return self.loops[turn % self.loops.count]
    }

    private func connect(
        _ descriptor: CInt, on loop: any EventLoop, continuing continuation: ConnectionHandler.Continuation?
    ) -> EventLoopFuture<Void> {
        let context = self.context
        let shards = self.context.hub.shards
        return ClientBootstrap(group: loop)
            .channelOption(.maxMessagesPerRead, value: ReceiveBuffers.messagesPerRead)
            .channelOption(.recvAllocator, value: ReceiveBuffers())
            .channelInitializer { Self.initialize($0, context: context, shards: shards, continuing: continuation) }
            .withConnectedSocket(descriptor).map { _ in }
    }

    // MARK: Takeover

    /// Goes on with a connection of the gateway before. From any thread, does not block.
    ///
    /// - Returns: done when it is served, or cannot be.
    func adopt(descriptor: CInt, continuing continuation: ConnectionHandler.Continuation) -> EventLoopFuture<Void> {
        let loop = self.nextLoop
        let shard = self.context.hub.shards.first { $0.eventLoop === loop }
        guard case .session(let info, let snapshot) = continuation, let shard else {
            return self.connect(descriptor, on: loop, continuing: continuation)
        }
        let promise = loop.makePromise(of: Void.self)
        let (groups, channels) = (info.plan.groups, snapshot.channelGroups)
        loop.execute {
            shard.acquire(groups, channels: channels) { error in
                if let error {
                    close(descriptor)
                    return promise.fail(error)
                }
                self.connect(descriptor, on: loop, continuing: continuation).cascade(to: promise)
            }
        }
        promise.futureResult.whenFailure { [context = self.context] error in context.adoptionFailed(error) }
        return promise.futureResult
    }

    func inherit(_ sockets: ListeningSockets) { self.state.withLock { $0.inherited = sockets } }

    func inheritedTakeover() -> CInt? {
        self.state.withLock { state in
            defer { state.inherited.takeover = nil }
            return state.inherited.takeover
        }
    }

    /// Where the gateway that comes next asks.
    var takeoverListener: CInt? { self.state.withLock { $0.offer?.listener } }

    func keep(_ offer: TakeoverOffer) { self.state.withLock { $0.offer = offer } }

    /// Accepts nobody for a while. Blocks.
    ///
    /// - Returns: the sockets; those of listeners are still this gateway's, those of hand-offs the caller's.
    func pauseListening() throws -> ListeningSockets {
        let (listeners, receiver) = self.state.withLock { state in
            defer { state.receiver = nil }
            return (state.listeners, state.receiver)
        }
        var sockets = ListeningSockets()
        for (address, channel) in listeners {
            let descriptor = try channel.eventLoop.submit {
                try channel.syncOptions?.setOption(.autoRead, value: false)
                return try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: CInt.self) { $0 }
            }.wait()
            if let descriptor { sockets.listeners.append(.init(address: address, descriptor: descriptor)) }
        }
        sockets.handoff = receiver?.suspend()
        return sockets
    }

    /// Accepts again.
    func resumeListening(_ sockets: ListeningSockets) {
        for (_, channel) in self.state.withLock({ $0.listeners }) {
            channel.setOption(.autoRead, value: true).whenFailure { _ in }
        }
        guard let handoff = sockets.handoff else { return }
        do {
            try self.receive(from: handoff)
        } catch {
            self.context.adoptionFailed(error)
        }
    }

    /// Another gateway accepts at them. The listeners stay open until this process ends, which is soon: NIO would remove a
    /// Unix socket's file with them, and the other gateway goes on at that file.
    func endListening(_ sockets: ListeningSockets) {
        self.context.startDraining()
        self.state.withLock { $0.listeners = [] }
        for descriptor in (sockets.handoff.map { [$0.listener] + $0.routers } ?? []) { close(descriptor) }
    }

    // MARK: The end

    /// Stops: no new browser is taken, and those who are here are sent away with 1012, evenly over `duration`, so that
    /// they do not all come back to another gateway in the same second. Returns when all have gone, or a little after
    /// `duration` at the latest.
    package func drain(within duration: Duration) async {
        self.context.startDraining()
        let (listeners, receiver, offer) = self.state.withLock { state in
            defer { state.listeners = [] }
            state.inherited.closeAll()
            return (state.listeners, state.receiver, state.offer)
        }
        receiver?.stop()
        for (_, listener) in listeners { try? await listener.close() }
        // Last: a gateway that finds nobody there makes sockets of its own at the same paths.
        offer?.stop()
        await withTaskGroup(of: Void.self) { group in
            for shard in self.context.hub.shards { group.addTask { await shard.drain(within: duration) } }
        }
        await self.context.stop()
    }
}

/// A route asks workers, and no worker is configured.
private struct NoWorkers: Error, CustomStringConvertible {
    var description: String { "no workers are configured; set router.workers.upstreams" }
}
