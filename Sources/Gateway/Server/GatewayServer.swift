package import ChannelLayer
import Glibc
package import Logging
package import NIOCore
import NIOPosix
package import Settings
import Synchronization

/// A gateway: listens, or is handed sockets, and serves browsers on its event loops until it is drained.
package final class GatewayServer: Sendable {
    private struct State {
        var listeners: [any Channel] = []
        var receiver: HandoffReceiver?
    }

    package let context: GatewayContext
    private let group: any EventLoopGroup
    private let loops: [any EventLoop]
    private let turn = Atomic<Int>(0)
    private let state = Mutex(State())

    /// - Parameters:
    ///   - layer: what carries the messages; the gateway does not close it.
    ///   - eventLoopGroup: every loop of it gets a shard of the hub.
    ///   - ask: how a worker is asked (authentication, messages for a worker); `nil` when no worker is configured.
    ///   - runsClock: whether seconds pass by themselves; tests move them (`Hub.passSecond`).
    package init(
        configuration: GatewayConfiguration, layer: any ChannelLayer, eventLoopGroup: any EventLoopGroup,
        ask: AskWorker? = nil, logger: Logger, metrics: GatewayMetrics = GatewayMetrics(), runsClock: Bool = true
    ) throws {
        self.group = eventLoopGroup
        self.loops = Array(eventLoopGroup.makeIterator())
        self.context = try GatewayContext(
            configuration: configuration, layer: layer, eventLoops: self.loops,
            ask: ask ?? { _, loop in loop.makeFailedFuture(NoWorkers()) }, logger: logger,
            metrics: metrics)
        self.context.hub.start(on: layer, hearsControl: configuration.client != nil, runsClock: runsClock)
    }

    // MARK: Listening

    /// Starts to accept browsers, and on a Unix socket also routers' hand-offs (`<path>.handoff`).
    ///
    /// - Parameter socketMode: permission bits of a Unix socket's files.
    /// - Returns: the address with the port that was chosen, for port 0.
    @discardableResult
    package func listen(on address: ListenAddress, socketMode: UInt32 = 0o600) async throws -> ListenAddress {
        let listener = try await self.bind(address)
        self.state.withLock { $0.listeners.append(listener) }
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
        switch address {
        case .tcp(let host, let port): return try await bootstrap.bind(host: host, port: port).get()
        case .unix(let path):
            return try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
        case .descriptor(let number): return try await bootstrap.withBoundSocket(number).get()
        }
    }

    private static func initialize(
        _ channel: any Channel, context: GatewayContext, shards: [HubShard]
    ) -> EventLoopFuture<Void> {
        let eventLoop = channel.eventLoop
        guard let shard = shards.first(where: { $0.eventLoop === eventLoop }) else {
            return eventLoop.makeFailedFuture(ChannelError.operationUnsupported)
        }
        do {
            try channel.pipeline.syncOperations.addHandler(ConnectionHandler(context: context, shard: shard))
            return eventLoop.makeSucceededVoidFuture()
        } catch {
            return eventLoop.makeFailedFuture(error)
        }
    }

    // MARK: Handed sockets

    private func receiveHandoffs(at path: String, mode: UInt32) throws {
        let context = self.context
        let receiver = try HandoffReceiver(
            path: path, mode: mode,
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
        let turn = self.turn.wrappingAdd(1, ordering: .relaxed).oldValue & .max
        let loop = self.loops[turn % self.loops.count]
        let context = self.context
        let shards = self.context.hub.shards
        ClientBootstrap(group: loop)
            .channelOption(.maxMessagesPerRead, value: ReceiveBuffers.messagesPerRead)
            .channelOption(.recvAllocator, value: ReceiveBuffers())
            .channelInitializer { Self.initialize($0, context: context, shards: shards) }
            .withConnectedSocket(descriptor)
            .whenFailure { error in context.adoptionFailed(error) }
    }

    // MARK: The end

    /// Stops: no new browser is taken, and those who are here are sent away with 1012, evenly over `duration`, so that
    /// they do not all come back to another gateway in the same second. Returns when all have gone, or a little after
    /// `duration` at the latest.
    package func drain(within duration: Duration) async {
        self.context.startDraining()
        let (listeners, receiver) = self.state.withLock { state in
            defer { state.listeners = [] }
            return (state.listeners, state.receiver)
        }
        receiver?.stop()
        for listener in listeners { try? await listener.close() }
        await withTaskGroup(of: Void.self) { group in
            for shard in self.context.hub.shards { group.addTask { await shard.drain(within: duration) } }
        }
        self.context.hub.stop()
    }
}

/// A route asks workers, and no worker is configured.
private struct NoWorkers: Error, CustomStringConvertible {
    var description: String { "no workers are configured; set router.workers.upstreams" }
}
