import HTTP1
import Logging
import NIOCore
import Synchronization
import Telemetry

/// What all connections of one server share.
final class ServerContext: Sendable {
    let configuration: WorkersConfiguration
    let application: any SynchronousApplication
    let pool: WorkerPool
    let trustedProxies: TrustedProxies
    let logger: Logger
    let boundedLog: BoundedLog
    let metrics: WorkersMetrics
    let connections = ConnectionRegistry()
    private let shards: [ObjectIdentifier: NIOLoopBoundBox<WorkerShard?>]
    private let draining = Atomic(false)
    private let requests = Atomic(0)
    /// Requests after which the process is to be replaced; 0 for never.
    private let requestLimit: Int
    /// Called once, when so many have been taken.
    private let wornOut: @Sendable () -> Void

    init(
        configuration: WorkersConfiguration, application: any SynchronousApplication, group: any EventLoopGroup,
        logger: Logger,
        metrics: WorkersMetrics, wornOut: @escaping @Sendable () -> Void
    ) throws(WorkerError) {
        try configuration.check()
        self.requestLimit = Self.spread(configuration.maxRequests)
        self.wornOut = wornOut
        self.shards = Dictionary(
            group.makeIterator().map {
                (ObjectIdentifier($0), NIOLoopBoundBox.makeEmptyBox(valueType: WorkerShard.self, eventLoop: $0))
            }, uniquingKeysWith: { first, _ in first })
        self.configuration = configuration
        self.application = application
        do {
            self.trustedProxies = try WorkersConfiguration.trusted(configuration.trustedProxies)
        } catch {
            throw WorkerError(.invalidConfiguration, "trustedProxies: \(error)")
        }
        self.logger = logger
        self.boundedLog = BoundedLog(logger)
        self.metrics = metrics
        self.pool = WorkerPool(
            limits: .init(
                threads: configuration.threads, queue: configuration.queue,
                requestTime: configuration.requestTimeout, stuckThreads: configuration.stuckThreads),
            logger: logger, metrics: metrics)
    }

    /// What the connections of `eventLoop` share. On that loop; it is one of the group's.
    ///
    /// - Throws: `ioOnClosedChannel` for a loop of another group.
    func shard(on eventLoop: any EventLoop) throws(ChannelError) -> WorkerShard {
        guard let box = self.shards[ObjectIdentifier(eventLoop)] else { throw ChannelError.ioOnClosedChannel }
        if let shard = box.value { return shard }
        let shard = WorkerShard(eventLoop: eventLoop, pool: self.pool, limits: self.configuration)
        box.value = shard
        return shard
    }

    /// Whether each connection ends with its present answer.
    var isDraining: Bool { self.draining.load(ordering: .relaxed) }

    /// Up to half as many more, so that equal processes are not replaced at the same time.
    private static func spread(_ limit: Int) -> Int {
        limit > 0 ? limit.addingReportingOverflow(.random(in: 0...limit / 2)).partialValue : 0
    }

    func countRequest() {
        guard self.requestLimit > 0,
            self.requests.wrappingAdd(1, ordering: .relaxed).newValue == self.requestLimit
        else { return }
        self.logger.notice(
            "Worker has answered as many requests as it may", metadata: ["requests": "\(self.requestLimit)"])
        self.wornOut()
    }

    func beginDrain() {
        self.draining.store(true, ordering: .relaxed)
        self.connections.forEach { $0.drain() }
    }
}

/// The open connections, so that a stop can end them. Touched once when one opens and once when it closes.
final class ConnectionRegistry: Sendable {
    private struct State {
        var open: [ObjectIdentifier: Entry] = [:]
        /// Accepted, and not yet open.
        var arriving = 0
        var whenEmpty: EventLoopPromise<Void>?

        /// Whom to tell that nobody is here any more.
        mutating func takeWhenEmpty() -> EventLoopPromise<Void>? {
            guard self.open.isEmpty, self.arriving == 0 else { return nil }
            defer { self.whenEmpty = nil }
            return self.whenEmpty
        }
    }

    private struct Entry: Sendable {
        let connection: NIOLoopBound<WorkerConnection>
        let loop: any EventLoop
    }

    private let state = Mutex(State())

    /// One was accepted, on whatever thread: who waits for the last to close waits for this one too.
    func expect() { self.state.withLock { $0.arriving += 1 } }

    /// The one that was expected is open (and was added), or never will be.
    func arrived() {
        let promise = self.state.withLock { state in
            state.arriving -= 1
            return state.takeWhenEmpty()
        }
        promise?.succeed()
    }

    /// Called on the connection's loop.
    ///
    /// - Returns: `false` when as many are open as may be.
    func add(_ connection: WorkerConnection, on loop: any EventLoop, limit: Int) -> Bool {
        let entry = Entry(connection: NIOLoopBound(connection, eventLoop: loop), loop: loop)
        let id = ObjectIdentifier(connection)
        return self.state.withLock { state in
            guard state.open.count < limit else { return false }
            state.open[id] = entry
            return true
        }
    }

    /// Called when a connection has closed.
    func remove(_ id: ObjectIdentifier) {
        let promise = self.state.withLock { state in
            state.open[id] = nil
            return state.takeWhenEmpty()
        }
        promise?.succeed()
    }

    /// Calls `body` for every open connection, on its loop.
    func forEach(_ body: @escaping @Sendable (WorkerConnection) -> Void) {
        for entry in self.state.withLock({ Array($0.open.values) }) {
            entry.loop.execute { body(entry.connection.value) }
        }
    }

    /// Succeeds when the last connection has closed; at once when there is none. One caller at a time.
    func whenEmpty(_ promise: EventLoopPromise<Void>) {
        let promise = self.state.withLock { state in
            state.whenEmpty = promise
            return state.takeWhenEmpty()
        }
        promise?.succeed()
    }
}
