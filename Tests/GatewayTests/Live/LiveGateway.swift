import ChannelLayer
import Logging
import NIOCore
import NIOPosix
import Telemetry
import Testing

@testable import Gateway

/// Runs `body` against a gateway on a free port, and stops it.
///
/// - Parameter change: what is to be different from the defaults; the routes are there already.
func withGateway(
    _ change: (inout GatewayConfiguration) -> Void = { _ in }, _ body: (LiveGateway) async throws -> Void
) async throws {
    let gateway = try await LiveGateway(change)
    do {
        try await body(gateway)
    } catch {
        await gateway.server.drain(within: .zero)
        throw error
    }
    await gateway.server.drain(within: .zero)
}

/// A gateway over a memory layer, its metrics its own.
///
/// Its routes: `/channels/groups/{name}` follows the group, `/channels/pairs/{one}/{two}` follows both, and
/// `/channels/echo/` sends back what it is sent.
struct LiveGateway {
    let server: GatewayServer
    let layer = MemoryLayer()
    let registry = PrometheusRegistry()
    let port: Int

    init(_ change: (inout GatewayConfiguration) -> Void = { _ in }) async throws {
        var configuration = GatewayConfiguration()
        let one = try PathPattern("/channels/groups/{name}")
        let two = try PathPattern("/channels/pairs/{one}/{two}")
        configuration.routes = [
            RouteConfiguration(path: one, groups: [try Template("{name}", captures: one.captureNames)]),
            RouteConfiguration(
                path: two,
                groups: [
                    try Template("{one}", captures: two.captureNames),
                    try Template("{two}", captures: two.captureNames),
                ]),
            RouteConfiguration(path: try PathPattern("/channels/echo/"), receive: .echo),
        ]
        // The first ping comes at a random moment: never within a test that does not ask for it.
        configuration.session.pingInterval = Int(Int32.max)
        change(&configuration)
        self.server = try GatewayServer(
            configuration: configuration, layer: self.layer, eventLoopGroup: .singletonMultiThreadedEventLoopGroup,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            metrics: GatewayMetrics(factory: self.registry))
        guard case .tcp(_, let port) = try await self.server.listen(on: .tcp(host: "127.0.0.1", port: 0)) else {
            throw ChannelError.operationUnsupported
        }
        self.port = port
    }

    func publish(_ json: String, to group: String) async throws {
        let data = try LayerValue.json(.init(validating: ByteBuffer(string: json)))
        try await self.layer.send(
            ["type": LayerValue.string("carillon.publication"), "data": data], toGroup: try GroupName(group))
    }

    /// What a metric such as `carillon_gateway_refusals_total` has counted, all its labels together.
    func metric(_ name: String) -> Int {
        self.registry.render().split(separator: "\n").reduce(0) { sum, line in
            guard line.hasPrefix(name + " ") || line.hasPrefix(name + "{") else { return sum }
            return sum + (line.split(separator: " ").last.flatMap { Int($0) } ?? 0)
        }
    }

    func connect() async throws -> LiveBrowser {
        let (bytes, arrived) = AsyncStream.makeStream(of: ByteBuffer.self)
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(arrived))
                }
            }
            .connect(host: "127.0.0.1", port: self.port).get()
        return LiveBrowser(channel: channel, bytes: bytes)
    }

    /// A browser whose WebSocket is open.
    ///
    /// - Parameter fields: more lines of its request head, each with its end of line.
    func open(_ path: String = "/channels/echo/", fields: String = "") async throws -> LiveBrowser {
        let browser = try await self.connect()
        try await browser.send(Array(LiveBrowser.handshake(path, fields: fields).utf8))
        let answer = try await browser.head()
        #expect(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        return browser
    }

    func open(_ count: Int, _ path: String) async throws -> [LiveBrowser] {
        var browsers: [LiveBrowser] = []
        for _ in 0..<count { browsers.append(try await self.open(path)) }
        return browsers
    }
}

/// The browser's side of one connection.
final class LiveBrowser {
    private let channel: any Channel
    private var bytes: AsyncStream<ByteBuffer>.Iterator
    private var input = ByteBuffer()
    private var parser = WebSocketParser(role: .client, messageLimit: 1 << 26)

    init(channel: any Channel, bytes: AsyncStream<ByteBuffer>) {
        self.channel = channel
        self.bytes = bytes.makeAsyncIterator()
    }

    deinit { self.channel.close(promise: nil) }

    /// A request for a WebSocket, as browsers make it.
    static func handshake(_ path: String, fields: String = "") -> String {
        "GET \(path) HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\(fields)\r\n"
    }

    func send(_ bytes: [UInt8]) async throws { try await self.send(ByteBuffer(bytes: bytes)) }
    func send(_ bytes: ByteBuffer) async throws { try await self.channel.writeAndFlush(bytes) }

    /// Says that nothing more will come from here.
    func endOutput() async throws { try await self.channel.close(mode: .output) }

    /// An answer's head with its empty line. From an answer that agrees to compress on, compressed messages are understood.
    func head() async throws -> String {
        while true {
            let text = String(buffer: self.input)
            if let end = text.firstRange(of: "\r\n\r\n") {
                self.input.moveReaderIndex(forwardBy: text[..<end.upperBound].utf8.count)
                if text[..<end.upperBound].contains("Sec-WebSocket-Extensions: permessage-deflate") {
                    self.parser = WebSocketParser(role: .client, messageLimit: 1 << 26, inflater: Inflater())
                }
                return String(text[..<end.upperBound])
            }
            guard await self.read() else { throw ChannelError.eof }
        }
    }

    /// What the gateway says next; `nil` when the connection has ended.
    func next() async throws -> WebSocketParser.Event? {
        while true {
            if let event = try self.parser.next(&self.input) { return event }
            guard await self.read() else { return nil }
        }
    }

    /// The next bytes from the wire, as many as that; fewer when the connection ends before.
    func raw(_ count: Int) async -> [UInt8] {
        while self.input.readableBytes < count, await self.read() {}
        return self.input.readBytes(length: min(count, self.input.readableBytes)) ?? []
    }

    private func read() async -> Bool {
        guard var more = await self.bytes.next() else { return false }
        self.input.writeBuffer(&more)
        return true
    }
}

private final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let arrived: AsyncStream<ByteBuffer>.Continuation

    init(_ arrived: AsyncStream<ByteBuffer>.Continuation) { self.arrived = arrived }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { self.arrived.yield(self.unwrapInboundIn(data)) }
    func channelInactive(context: ChannelHandlerContext) { self.arrived.finish() }
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { self.arrived.finish() }
    }
}
