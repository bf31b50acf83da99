import ChannelLayer
import JSON
import Logging
import NIOCore
import NIOPosix
import Settings
import Telemetry
import Testing

@testable import Gateway

/// Runs `body` against a gateway on a free port, and stops it.
///
/// - Parameters:
///   - change: of a configuration with the routes of `LiveGateway.routes`.
///   - loops: event loops of the gateway.
///   - runsClock: whether seconds pass by themselves; else by `passSeconds`.
///   - predecessor: the path at which a gateway waits that this one takes over from.
///   - ask: how workers are asked, on the gateway's event loops.
func withGateway(
    _ change: (inout GatewayConfiguration) throws -> Void = { _ in }, layer: any ChannelLayer = MemoryLayer(),
    loops: Int = 2, runsClock: Bool = false, takingOver predecessor: String? = nil,
    ask: ((any EventLoopGroup) -> AskWorker)? = nil,
    _ body: (LiveGateway) async throws -> Void
) async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: loops)
    var configuration = GatewayConfiguration()
    configuration.routes = try LiveGateway.routes
    // The first ping comes at a random moment: never within a test that does not ask for it.
    configuration.session.pingInterval = Int(Int32.max)
    try change(&configuration)
    let gateway = try await LiveGateway(
        configuration, layer, group, ask: ask?(group), runsClock: runsClock, predecessor)
    let outcome: Result<Void, any Error>
    do {
        outcome = .success(try await body(gateway))
    } catch {
        outcome = .failure(error)
    }
    gateway.browsers.closeAll()
    await gateway.server.drain(within: .zero)
    await layer.close()
    try await group.shutdownGracefully()
    try outcome.get()
}

/// A gateway, and what a test looks at from outside: its browsers, its log, its counters.
struct LiveGateway: Sendable {
    let server: GatewayServer
    let layer: any ChannelLayer
    let port: Int
    let log = LogRecorder()
    let browsers = OpenBrowsers()
    private let registry = PrometheusRegistry()

    /// One group by its name, two groups at once, and a route that sends back what it is sent.
    static var routes: [RouteConfiguration] {
        get throws {
            [
                try Self.route("/channels/groups/{name}", groups: ["{name}"]),
                try Self.route("/channels/pairs/{one}/{two}", groups: ["{one}", "{two}"]),
                try Self.route("/channels/echo/") { $0.receive = .echo },
            ]
        }
    }

    static func route(
        _ path: String, groups: [String] = [], _ authentication: Authentication = .anonymous,
        _ change: (inout RouteConfiguration) -> Void = { _ in }
    ) throws -> RouteConfiguration {
        let path = try PathPattern(path)
        let templates = try groups.map { try Template($0, captures: path.captureNames) }
        var route = RouteConfiguration(path: path, authentication: authentication, groups: templates)
        change(&route)
        return route
    }

    fileprivate init(
        _ configuration: GatewayConfiguration, _ layer: any ChannelLayer, _ group: any EventLoopGroup, ask: AskWorker?,
        runsClock: Bool, _ predecessor: String?
    ) async throws {
        self.layer = layer
        self.server = try GatewayServer(
            configuration: configuration, layer: layer, eventLoopGroup: group, ask: ask, logger: self.log.logger,
            metrics: GatewayMetrics(factory: self.registry), runsClock: runsClock)
        if let predecessor { #expect(try await self.server.takeOver(at: predecessor) != nil) }
        let address = try await self.server.listen(on: .tcp(host: "127.0.0.1", port: 0))
        guard case .tcp(_, let port) = address else { throw ChannelError.operationUnsupported }
        self.port = port
    }

    // MARK: From outside

    func publish(_ json: String, to group: String) async throws {
        let data = LayerValue.json(try JSONText(validating: ByteBuffer(string: json)))
        try await self.layer.send(.publication(data), toGroup: try GroupName(group))
    }

    /// Moves the time of pings and timeouts.
    func passSeconds(_ count: Int) async throws {
        for _ in 0..<count { try await self.server.context.hub.passSecond() }
    }

    /// What a metric has counted: `carillon_gateway_refusals_total`, all its labels together, or
    /// `carillon_gateway_refusals_total{reason="origin"}`.
    func metric(_ name: String) -> Int {
        self.registry.render().split(separator: "\n").reduce(0) { sum, line in
            guard line.hasPrefix(name + " ") || line.hasPrefix(name + "{") else { return sum }
            return sum + (line.split(separator: " ").last.flatMap { Int($0) } ?? 0)
        }
    }

    // MARK: Browsers

    /// A connection that has said nothing.
    ///
    /// - Parameters:
    ///   - address: where it comes from, another one of this host.
    ///   - window: bytes the system keeps for it unread.
    func connect(from address: String? = nil, window: Int? = nil) async throws -> LiveBrowser {
        let (bytes, arrived) = AsyncStream.makeStream(of: ByteBuffer.self)
        var bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(arrived))
                }
            }
        if let address { bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: address, port: 0)) }
        if let window {
            bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: .init(window))
        }
        let channel = try await bootstrap.connect(host: "127.0.0.1", port: self.port).get()
        self.browsers.add(channel)
        return LiveBrowser(channel: channel, bytes: bytes)
    }

    /// Sends a request and gives the answer's head.
    func ask(_ request: String, from address: String? = nil) async throws -> (browser: LiveBrowser, head: String) {
        let browser = try await self.connect(from: address)
        try await browser.send(request)
        return (browser, try await browser.head())
    }

    /// Asks for a WebSocket; `fields` are lines, each with its end.
    func upgrade(
        _ path: String, _ fields: String = "", host: String = "a", from address: String? = nil
    ) async throws -> (browser: LiveBrowser, head: String) {
        try await self.ask(LiveBrowser.handshake(path, fields: fields, host: host), from: address)
    }

    /// A browser with an open WebSocket.
    func open(
        _ path: String = "/channels/echo/", fields: String = "", window: Int? = nil
    ) async throws -> LiveBrowser {
        let browser = try await self.connect(window: window)
        try await browser.send(LiveBrowser.handshake(path, fields: fields))
        let answer = try await browser.head()
        #expect(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "\(answer)")
        return browser
    }

    func open(_ count: Int, _ path: String) async throws -> [LiveBrowser] {
        var browsers: [LiveBrowser] = []
        for _ in 0..<count { browsers.append(try await self.open(path)) }
        return browsers
    }

    /// A browser with an open event stream; its head and `retry` are read.
    func stream(_ path: String, _ fields: String = "") async throws -> LiveBrowser {
        let (browser, head) = try await self.ask(
            "GET \(path) HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\(fields)\r\n")
        #expect(head.hasPrefix("HTTP/1.1 200 "), "\(head)")
        #expect(try await browser.block() == "retry: 3000")
        return browser
    }
}
