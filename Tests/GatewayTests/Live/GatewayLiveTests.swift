import ChannelLayer
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import Gateway

/// A gateway on a free port over a memory layer, and what browsers on real sockets see of it.
@Suite(.timeLimit(.minutes(1))) struct GatewayLiveTests {
    @Test func everyFollowerHearsEveryMessageOnceAndInOrder() async throws {
        try await withGateway { gateway in
            let browsers = try await gateway.open(20, "/channels/groups/news")
            for number in 0..<200 { try await gateway.publish("\(number)", to: "news") }
            for browser in browsers {
                for number in 0..<200 {
                    #expect(try await browser.next() == .text(ByteBuffer(string: "\(number)")))
                }
            }
        }
    }

    @Test func whoFollowsSeveralGroupsHearsThemInTheOrderTheyWereSent() async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open(1, "/channels/pairs/left/right")[0]
            for number in 0..<100 {
                try await gateway.publish("\(number)", to: number % 3 == 0 ? "left" : "right")
            }
            for number in 0..<100 {
                #expect(try await browser.next() == .text(ByteBuffer(string: "\(number)")))
            }
        }
    }

    @Test func aPublicationIsHeardByItsGroupOnly() async throws {
        try await withGateway { gateway in
            let news = try await gateway.open(1, "/channels/groups/news")[0]
            let other = try await gateway.open(1, "/channels/groups/other")[0]
            try await gateway.publish("1", to: "news")
            try await gateway.publish("2", to: "other")
            #expect(try await news.next() == .text(ByteBuffer(string: "1")))
            #expect(try await other.next() == .text(ByteBuffer(string: "2")))
        }
    }

    @Test func aPingIsAnsweredAndACloseIsReturned() async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open(1, "/channels/groups/news")[0]
            try await browser.send(clientFrame(9, [1, 2, 3]))
            #expect(try await browser.next() == .pong(ByteBuffer(bytes: [1, 2, 3])))
            try await browser.send(clientFrame(8, [0x03, 0xE8]))
            #expect(try await browser.next() == .close(.normal, reason: ""))
            #expect(try await browser.next() == nil)
        }
    }

    @Test func whoBreaksTheProtocolIsToldAndTheOthersStay() async throws {
        try await withGateway { gateway in
            let bad = try await gateway.open(1, "/channels/groups/news")[0]
            let good = try await gateway.open(1, "/channels/groups/news")[0]
            try await bad.send(clientFrame(1, [0xFF]))
            #expect(try await bad.next() == .close(.invalidPayload, reason: "text is not UTF-8"))
            try await gateway.publish("1", to: "news")
            #expect(try await good.next() == .text(ByteBuffer(string: "1")))
        }
    }

    @Test func aStoppingGatewaySendsEverybodyAwayWith1012() async throws {
        try await withGateway { gateway in
            let browsers = try await gateway.open(10, "/channels/groups/news")
            await gateway.server.drain(within: .milliseconds(100))
            for browser in browsers {
                #expect(try await browser.next() == .close(.serviceRestart, reason: "restart"))
            }
        }
    }

    @Test(arguments: [
        ("GET /channels/nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("GET /channels/groups/news HTTP/1.1\r\nHost: a\r\n\r\n", 426),
        ("GET /channels/groups/news HTTP/1.1\r\n\r\n", 400),
        ("GET  /channels/groups/news HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /channels/carillon.js HTTP/1.1\r\nHost: a\r\n\r\n", 200),
    ])
    func answersWhatIsNoHandshake(_ request: String, _ status: Int) async throws {
        try await withGateway { gateway in
            let browser = try await gateway.connect()
            try await browser.send(Array(request.utf8))
            #expect(try await browser.head().hasPrefix("HTTP/1.1 \(status) "))
        }
    }
}

/// Runs `body` against a gateway, and stops it.
private func withGateway(_ body: (LiveGateway) async throws -> Void) async throws {
    let gateway = try await LiveGateway()
    do {
        try await body(gateway)
    } catch {
        await gateway.server.drain(within: .zero)
        throw error
    }
    await gateway.server.drain(within: .zero)
}

private struct LiveGateway {
    let server: GatewayServer
    let layer = MemoryLayer()
    let port: Int

    init() async throws {
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
        ]
        self.server = try GatewayServer(
            configuration: configuration, layer: self.layer, eventLoopGroup: .singletonMultiThreadedEventLoopGroup,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
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

    func open(_ count: Int, _ path: String) async throws -> [LiveBrowser] {
        var browsers: [LiveBrowser] = []
        for _ in 0..<count {
            let browser = try await self.connect()
            let head =
                "GET \(path) HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            try await browser.send(Array(head.utf8))
            let answer = try await browser.head()
            #expect(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
            browsers.append(browser)
        }
        return browsers
    }
}

/// The browser's side of one connection.
private final class LiveBrowser {
    private let channel: any Channel
    private var bytes: AsyncStream<ByteBuffer>.Iterator
    private var input = ByteBuffer()
    private var parser = WebSocketParser(role: .client, messageLimit: 1 << 20)

    init(channel: any Channel, bytes: AsyncStream<ByteBuffer>) {
        self.channel = channel
        self.bytes = bytes.makeAsyncIterator()
    }

    deinit { self.channel.close(promise: nil) }

    func send(_ bytes: [UInt8]) async throws { try await self.channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

    /// An answer's head with its empty line.
    func head() async throws -> String {
        while true {
            let text = String(buffer: self.input)
            if let end = text.firstRange(of: "\r\n\r\n") {
                self.input.moveReaderIndex(forwardBy: text[..<end.upperBound].utf8.count)
                return String(text[..<end.upperBound])
            }
            guard var more = await self.bytes.next() else { throw ChannelError.eof }
            self.input.writeBuffer(&more)
        }
    }

    /// What the gateway says next; `nil` when the connection has ended.
    func next() async throws -> WebSocketParser.Event? {
        while true {
            if let event = try self.parser.next(&self.input) { return event }
            guard var more = await self.bytes.next() else { return nil }
            self.input.writeBuffer(&more)
        }
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
