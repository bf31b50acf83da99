import Sockets
public import Logging
public import NIOCore
import NIOPosix
import Synchronization
import Telemetry
import UnixSignals

/// Serves a `SynchronousApplication` over HTTP/1.1.
///
/// ```swift
/// import Workers
///
/// struct Hello: SynchronousApplication {
///     func respond(to request: WorkerRequest) throws -> WorkerResponse { .text("Hello, \(request.path)\n") }
/// }
///
/// @main struct Main {
///     static func main() async throws { try await WorkerServer(Hello()).run() }
/// }
/// ```
public final class WorkerServer: Sendable {
    private let context: ServerContext
    private let group: any EventLoopGroup
    private let listener = Mutex<Listener?>(nil)
    /// Says one thing, once.
    private let wornOut: AsyncStream<Void>

    /// - Parameters:
    ///   - group: the loops that hold the connections; one is plenty, the work is done on the pool's threads, and with more of
    ///     them each has less to hand over at a time. Without one, one of those that the whole process shares.
    ///   - logger: hears what goes wrong; errors of the application with their request's path.
    /// - Throws: `WorkerError` `invalidConfiguration`.
    public convenience init(
        _ application: any SynchronousApplication, configuration: WorkersConfiguration = WorkersConfiguration(),
        group: (any EventLoopGroup)? = nil,
        logger: Logger = Logger(label: "carillon.workers")
    ) throws(WorkerError) {
        try self.init(
            application, configuration: configuration, group: group ?? MultiThreadedEventLoopGroup.singleton.next(),
            logger: logger, metrics: WorkersMetrics())
    }

    package init(
        _ application: any SynchronousApplication, configuration: WorkersConfiguration, group: any EventLoopGroup,
        logger: Logger, metrics: WorkersMetrics
    ) throws(WorkerError) {
        let (wornOut, says) = AsyncStream.makeStream(of: Void.self)
        self.context = try ServerContext(
            configuration: configuration, application: application, group: group, logger: logger, metrics: metrics,
            wornOut: { says.yield() })
        self.group = group
        self.wornOut = wornOut
    }

    /// Starts the threads and listens. Call it once.
    ///
    /// - Throws: `WorkerError` `cannotStart`, which says what is in the way.
    public func start() async throws {
        try self.context.pool.start(watchedBy: self.group.next())
        let context = self.context
        do {
            let listener = try await Listener.open(
                context.configuration.listen, mode: context.configuration.socketMode, group: self.group,
                logger: context.logger, connections: context.connections
            ) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        WorkerConnection(context, shard: context.shard(on: channel.eventLoop)))
                }
            }
            self.listener.withLock { $0 = listener }
        } catch {
            context.pool.stop()
            throw error
        }
        context.logger.notice(
            "Worker started",
            metadata: [
                LogKey.address: "\(self.boundListen)",
                "threads": "\(context.configuration.threads)", "queue": "\(context.configuration.queue)",
            ])
    }

    /// Where the server listens, with the port that was taken; `nil` before `start`, after `drain`, and when an
    /// inherited socket does not tell.
    public var boundAddress: SocketAddress? { self.listener.withLock { $0?.address } }

    /// Where the server listens as settings say it: `http://127.0.0.1:8002`, with the port that was taken.
    private var boundListen: WorkersConfiguration.Listen {
        let wanted = self.context.configuration.listen
        guard case .tcp(let host, _) = wanted, let port = self.boundAddress?.port else { return wanted }
        return .tcp(host: host, port: port)
    }

    /// What the pool does at this moment.
    package var poolCounts: (threads: Int, busy: Int, waiting: Int, stuck: Int) { self.context.pool.counts }

    /// Stops: listens no more, lets what was begun end, then closes everything. Returns when all is closed.
    ///
    /// - Parameter limit: how long requests that are being answered may still take.
    public func drain(within limit: TimeAmount) async {
        let listener = self.listener.withLock { listener in
            defer { listener = nil }
            return listener
        }
        await listener?.close()
        self.context.beginDrain()

        let loop = self.group.next()
        let allClosed = loop.makePromise(of: Void.self)
        self.context.connections.whenEmpty(allClosed)
        let tooLong = loop.scheduleTask(in: limit) { allClosed.succeed() }
        try? await allClosed.futureResult.get()  // never fails
        tooLong.cancel()
        self.context.pool.stop()
        self.context.pool.abandonWaiting()
        self.context.connections.forEach { $0.cut() }
    }

    /// Returns when as many requests were taken as `WorkersConfiguration.maxRequests` says, and never without that. The
    /// server serves on: whoever waits here drains it. One caller.
    ///
    /// - Returns: `false` when the task was cancelled first.
    public func waitUntilWornOut() async -> Bool {
        for await _ in self.wornOut { return true }
        return false
    }

    /// Asks the process to end when as many requests were taken as it may have (`waitUntilWornOut`).
    package func endProcessWhenWornOut() async {
        if await self.waitUntilWornOut() { ThisProcess.askToEnd() }
    }

    /// Starts, serves until the process is told to end (SIGTERM or SIGINT) or has answered `maxRequests`, and drains.
    public func run(drainTime: TimeAmount = .seconds(20)) async throws {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        try await self.start()
        // A task of its own: a group would wait for it, and it may wait for ever. It is cancelled with this call.
        let watch = Task { await self.endProcessWhenWornOut() }
        defer { watch.cancel() }
        for await _ in signals { break }
        self.context.logger.notice("Worker draining")
        await self.drain(within: drainTime)
        self.context.logger.notice("Worker stopped")
    }
}
