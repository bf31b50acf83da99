import Logging
import NIOCore
import Telemetry
import Upstream

/// What the proxied connections of one event loop share. Used on that loop only.
final class ProxyShard {
    let eventLoop: any EventLoop
    let configuration: RouterConfiguration
    let metrics: RouterMetrics
    let logger: Logger
    let boundedLog: BoundedLog
    let watch: LoopWatch
    private let workers: UpstreamPool?
    private let gateways: UpstreamPool?
    /// Where answers are put together; a connection has it from its first byte of an answer to the flush.
    var scratch = ByteBuffer()
    var requestIDs = RequestIDs()
    /// The level of the line each request leaves, `nil` when nobody would see it.
    let requestLogLevel: Logger.Level?
    private(set) var isDraining = false
    private var emptied: EventLoopPromise<Void>?
    private var connections = 0

    init(
        eventLoop: any EventLoop, configuration: RouterConfiguration, workers: UpstreamClient,
        gateways: UpstreamClient?, metrics: RouterMetrics, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.configuration = configuration
        self.metrics = metrics
        self.logger = logger
        self.boundedLog = BoundedLog(logger)
        self.workers = workers.pool(on: eventLoop)
        self.gateways = gateways?.pool(on: eventLoop)
        self.watch = LoopWatch(
            eventLoop: eventLoop,
            tick: LoopWatch.tick(
                for: configuration.headTime, configuration.bodyIdleTime, configuration.sendIdleTime,
                configuration.keepAliveTime, configuration.tunnelIdleTime, configuration.lingerTime))
        let level: Logger.Level = configuration.logsRequests ? .info : .debug
        self.requestLogLevel = logger.logLevel <= level ? level : nil
    }

    func pool(_ route: RequestPlan.Route) -> UpstreamPool? {
        switch route {
        case .workers: self.workers
        case .gateways: self.gateways
        }
    }

    // MARK: Connections

    func opened(_ handler: ProxyHandler) {
        self.connections += 1
        self.metrics.proxied.increment()
        self.watch.add(handler)
    }

    func closed(_ handler: ProxyHandler) {
        self.connections -= 1
        self.metrics.proxied.decrement()
        self.watch.remove(handler)
        if self.connections == 0 { self.emptied?.succeed() }
    }

    func tunnelOpened() { self.metrics.tunnels.increment() }

    func tunnelClosed() { self.metrics.tunnels.decrement() }

    // MARK: Draining

    /// Closes idle connections; the others close with the end of their request.
    ///
    /// - Returns: completed when none is left.
    func drain() -> EventLoopFuture<Void> {
        self.isDraining = true
        let promise = self.emptied ?? self.eventLoop.makePromise()
        self.emptied = promise
        for case let handler as ProxyHandler in self.watch.all { handler.drain() }
        if self.connections == 0 { promise.succeed() }
        return promise.futureResult
    }

    /// Closes what is still open.
    func closeAll() {
        for case let handler as ProxyHandler in self.watch.all { handler.abort() }
    }
}
