import NIOCore
import NIOPosix
import NIOSSL

/// One event loop's connections to one upstream.
final class UpstreamLane {
    let server: UpstreamServer
    /// Its place among the pool's upstreams.
    let number: Int
    /// This loop's share of the upstream's connection limit.
    let limit: Int
    private let eventLoop: any EventLoop
    private let connectTime: TimeAmount
    private let tls: UpstreamTLS
    /// Unused connections; the last one used is used first, so that the others can end.
    private(set) var idle: ContiguousArray<UpstreamConnection> = []
    /// Connections that are open or being made.
    var open = 0

    init(
        server: UpstreamServer, number: Int, limit: Int, eventLoop: any EventLoop, configuration: UpstreamConfiguration
    ) {
        self.server = server
        self.number = number
        self.tls = configuration.tls
        self.limit = limit
        self.eventLoop = eventLoop
        self.connectTime = configuration.connectTime
    }

    var hasRoom: Bool { !self.idle.isEmpty || self.open < self.limit }

    func popIdle() -> UpstreamConnection? { self.idle.popLast() }

    func putIdle(_ connection: UpstreamConnection) { self.idle.append(connection) }

    func removeIdle(_ connection: UpstreamConnection) {
        guard let index = self.idle.lastIndex(where: { $0 === connection }) else { return }
        self.idle.remove(at: index)
    }

    /// Makes a connection whose only handler is `makeHandler`'s.
    func connect(_ makeHandler: @escaping () -> UpstreamConnection) -> EventLoopFuture<any Channel> {
        let maker = NIOLoopBound(makeHandler, eventLoop: self.eventLoop)
        let (tls, address) = (self.tls, self.server.address)
        let bootstrap = ClientBootstrap(group: self.eventLoop)
            .connectTimeout(self.connectTime)
            // A tunnel's directions end one by one; and an answer that ends with the connection is not a lost one.
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if case .tls(let host, _) = address {
                        try channel.pipeline.syncOperations.addHandler(tls.handler(host: host))
                    }
                    try channel.pipeline.syncOperations.addHandler(maker.value())
                }
            }
        switch address {
        case .unix(let path), .fastCGIUnix(let path): return bootstrap.connect(unixDomainSocketPath: path)
        case .tcp(let host, let port), .tls(let host, let port), .fastCGI(let host, let port):
            // Numbers need no resolver, and so no other thread.
            if let address = try? SocketAddress(ipAddress: host, port: port) { return bootstrap.connect(to: address) }
            return bootstrap.connect(host: host, port: port)
        }
    }
}
