import Logging
import NIOCore
import Sockets
import Telemetry
import Upstream

/// A browser's connection, or one stream of it, as its shard sees it.
protocol ShardConnection: Watched {
    /// The router is about to end: closes now, or with what is under way.
    func drain()
    /// Ends at once.
    func abort()
}

/// What the proxied connections of one event loop share. Used on that loop only.
final class ProxyShard {
    let eventLoop: any EventLoop
    let configuration: RouterConfiguration
    let metrics: RouterMetrics
    let logger: Logger
    let boundedLog: BoundedLog
    let watch: LoopWatch
    let routes: RouteTable
    /// `nil` where nobody speaks TLS.
    let tls: TLSStore?
    /// By `PoolNumber`.
    private let pools: [UpstreamPool?]
    private let accessLog: AccessLogLines?
    /// Where answers are put together; a connection has it from its first byte of an answer to the flush.
    var scratch = ByteBuffer()
    var requestIDs = RequestIDs()
    var clock = SecondClock()
    /// The level of the line each request leaves, `nil` when nobody would see it.
    let requestLogLevel: Logger.Level?
    private(set) var isDraining = false
    private var emptied: EventLoopPromise<Void>?
    private var connections = 0

    /// - Parameter clients: by `PoolNumber`; `nil` where there is none.
    init(
        eventLoop: any EventLoop, configuration: RouterConfiguration, clients: [UpstreamClient?],
        metrics: RouterMetrics, logger: Logger, accessLog: AccessLog? = nil, tls: TLSStore? = nil
    ) {
        self.tls = tls
        self.eventLoop = eventLoop
        self.configuration = configuration
        self.metrics = metrics
        self.logger = logger
        self.boundedLog = BoundedLog(logger)
        self.routes = RouteTable(gatewayPath: configuration.gatewayPath, routes: configuration.routes)
        self.pools = clients.map { $0?.pool(on: eventLoop) }
        self.accessLog = accessLog.map { AccessLogLines($0, eventLoop: eventLoop) }
        self.watch = LoopWatch(
            eventLoop: eventLoop,
            tick: LoopWatch.tick(
                for: configuration.headTime, configuration.bodyIdleTime, configuration.sendIdleTime,
                configuration.keepAliveTime, configuration.tunnelIdleTime, configuration.lingerTime))
        let level: Logger.Level = configuration.logsRequests ? .info : .debug
        self.requestLogLevel = logger.logLevel <= level ? level : nil
    }

    /// `nil` for routes that need none, and where there is nobody to ask.
    func pool(_ route: Route) -> UpstreamPool? {
        guard case .pool(let number) = route.target, self.pools.indices.contains(number) else { return nil }
        return self.pools[number]
    }

    /// What the FastCGI applications of a route's pool are told.
    func fastCGI(_ route: Route) -> FastCGIOptions { self.pool(route)?.fastCGI ?? FastCGIOptions() }

    // MARK: Logs

    /// Whether requests leave a line anywhere.
    var logsRequests: Bool { self.requestLogLevel != nil || self.accessLog != nil }

    /// `exchange` has ended.
    func log(_ exchange: ProxyExchange, _ identity: BrowserIdentity) {
        guard let began = exchange.began else { return }
        let duration = NIODeadline.now() - began
        if let level = self.requestLogLevel {
            self.logger.log(
                level: level, "Request",
                metadata: [
                    LogKey.request: "\(exchange.name)", LogKey.peer: "\(identity.address)",
                    LogKey.method: "\(exchange.plan.method)", LogKey.target: "\(exchange.plan.target)",
                    LogKey.status: "\(exchange.status)", LogKey.duration: "\(duration.nanoseconds / 1_000_000)",
                ])
        }
        guard let accessLog = self.accessLog else { return }
        let fields = exchange.head.fields
        accessLog.add(
            AccessEntry(
                address: identity.client(exchange.head), user: identity.transport.certificate?.certificate?.commonName,
                method: exchange.plan.method, target: exchange.plan.target,
                version: identity.transport.isHTTP2 ? "HTTP/2.0" : exchange.plan.isHTTP10 ? "HTTP/1.0" : "HTTP/1.1",
                status: exchange.status, bytes: exchange.bytesSent, referer: fields["referer"],
                userAgent: fields[.userAgent], host: exchange.plan.hostFromTarget ?? exchange.plan.host,
                requestID: exchange.name.description, upstream: exchange.upstream.map { "\($0)" }, duration: duration))
    }

    /// A request that was none we take.
    func logRefusal(_ status: Int, _ identity: BrowserIdentity) {
        self.accessLog?.add(
            AccessEntry(
                address: identity.address, method: "-", target: "-", version: "-", status: status, bytes: 0,
                requestID: "", duration: .zero))
    }

    func flushLog() { self.accessLog?.handOn() }

    // MARK: Connections

    func opened(_ handler: any ShardConnection) {
        self.connections += 1
        self.metrics.proxied.increment()
        self.watch.add(handler)
    }

    func closed(_ handler: any ShardConnection) {
        self.connections -= 1
        self.metrics.proxied.decrement()
        self.watch.remove(handler)
        if self.connections == 0 { self.emptied?.succeed() }
    }

    func tunnelOpened() { self.metrics.tunnels.increment() }

    func tunnelClosed() { self.metrics.tunnels.decrement() }

    // MARK: Draining

    /// How long a connection waits for its next request.
    var quietTime: TimeAmount {
        guard self.isDraining else { return self.configuration.keepAliveTime }
        return min(self.configuration.keepAliveTime, self.configuration.lastMoment)
    }

    /// Closes idle connections; the others close with the end of their request.
    ///
    /// - Returns: completed when none is left.
    func drain() -> EventLoopFuture<Void> {
        self.isDraining = true
        let promise = self.emptied ?? self.eventLoop.makePromise()
        self.emptied = promise
        for case let handler as any ShardConnection in self.watch.all { handler.drain() }
        if self.connections == 0 { promise.succeed() }
        return promise.futureResult
    }

    /// Closes what is still open.
    func closeAll() {
        for case let handler as any ShardConnection in self.watch.all { handler.abort() }
    }
}
