import Gateway
import HTTP1
import JSON
import NIOCore
import NIOPosix
import NIOWebSocket

/// A WebSocket client for one route: enough to look at what it delivers.
enum WebSocketClient {
    enum Message {
        case text(String)
        case binary(ByteBuffer)

        /// The message as one line of JSON.
        var json: String {
            var json = ByteBuffer()
            switch self {
            case .text(let text):
                // JSON with line ends in it would be several lines.
                if !text.contains(where: \.isNewline), (try? JSONText(validating: ByteBuffer(string: text))) != nil {
                    return text
                }
                if let value = try? JSONValue(parsing: ByteBuffer(string: text)) {
                    json.writeJSON(value)
                } else {
                    json.writeJSONString(text)
                }
            case .binary(let bytes):
                json.writeStaticString("{\"base64\":")
                json.writeJSONString(Base64.encode(bytes))
                json.writeStaticString("}")
            }
            return String(buffer: json)
        }
    }

    /// Connects and hands over each message until `take` returns `false`.
    ///
    /// - Throws: `Failure` when the route refuses, or the connection ends first.
    static func messages(
        of place: SubscribePlace, fields: HeaderFields, take: (Message) throws -> Bool
    ) async throws {
        let channel: NIOAsyncChannel<WebSocketFrame, WebSocketFrame>
        do {
            channel = try await self.connect(place, fields)
        } catch let error as IOError {
            throw Failure("\(place.host):\(place.port) cannot be reached: \(error)")
        } catch let error as NIOConnectionError {
            let reasons =
                error.connectionErrors.map { "\($0.error)" }
                + [error.dnsAError, error.dnsAAAAError].compactMap { $0.map { "\($0)" } }
            throw Failure(
                "\(place.host):\(place.port) cannot be reached: \(reasons.first ?? "no such host"); is Carillon running there?"
            )
        }
        try await channel.executeThenClose { inbound, outbound in
            for try await frame in inbound {
                switch frame.opcode {
                case .text:
                    guard try take(.text(String(buffer: frame.unmaskedData))) else {
                        return try await Self.bye(outbound)
                    }
                case .binary:
                    guard try take(.binary(frame.unmaskedData)) else { return try await Self.bye(outbound) }
                case .ping:
                    try await outbound.write(
                        WebSocketFrame(fin: true, opcode: .pong, maskKey: .random(), data: frame.unmaskedData))
                case .connectionClose: throw Self.closed(frame)
                default: break
                }
            }
            throw Failure("the connection was lost")
        }
    }

    /// Closes with 1000, so that the other side does not count a lost connection.
    private static func bye(_ outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>) async throws {
        var data = ByteBuffer()
        data.write(webSocketErrorCode: .normalClosure)
        try await outbound.write(WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: .random(), data: data))
    }

    private static func closed(_ frame: WebSocketFrame) -> Failure {
        var data = frame.unmaskedData
        guard let code = data.readInteger(as: UInt16.self) else {
            return Failure("the connection was closed without a code")
        }
        let reason = String(buffer: data)
        return Failure("the connection was closed with \(code)\(reason.isEmpty ? "" : " (\(reason))")")
    }

    // MARK: Opening

    private static func connect(
        _ place: SubscribePlace, _ fields: HeaderFields
    ) async throws -> NIOAsyncChannel<WebSocketFrame, WebSocketFrame> {
        let key = Base64.encode(ByteBuffer(bytes: (0..<16).map { _ in UInt8.random(in: .min ... .max) }))
        let opening: EventLoopFuture<NIOAsyncChannel<WebSocketFrame, WebSocketFrame>> = try await ClientBootstrap(
            group: MultiThreadedEventLoopGroup.singleton
        )
        .connectTimeout(.seconds(10))
        .connect(host: place.host, port: place.port) { channel in
            channel.eventLoop.makeCompletedFuture {
                let opener = WebSocketOpener(request: self.request(place, fields, key: key), key: key, channel: channel)
                try channel.pipeline.syncOperations.addHandler(opener)
                return opener.opened
            }
        }
        return try await opening.get()
    }

    private static func request(_ place: SubscribePlace, _ fields: HeaderFields, key: String) -> RequestHead {
        var head = RequestHead(method: "GET", target: place.target)
        let host = place.host.contains(":") ? "[\(place.host)]" : place.host
        head.fields.append("Host", place.port == 80 ? host : "\(host):\(place.port)")
        head.fields.append("Upgrade", "websocket")
        head.fields.append("Connection", "Upgrade")
        head.fields.append("Sec-WebSocket-Key", key)
        head.fields.append("Sec-WebSocket-Version", "13")
        for (name, value) in fields { head.fields.set(name, value) }
        return head
    }
}

/// Sends the opening handshake, checks the answer (RFC 6455 section 4.1), and makes way for the frames.
private final class WebSocketOpener: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let request: RequestHead
    private let key: String
    private var parser = ResponseHeadParser(limits: HeadLimits())
    private var received = ByteBuffer()
    private let promise: EventLoopPromise<NIOAsyncChannel<WebSocketFrame, WebSocketFrame>>
    private var isDone = false

    var opened: EventLoopFuture<NIOAsyncChannel<WebSocketFrame, WebSocketFrame>> { self.promise.futureResult }

    init(request: RequestHead, key: String, channel: any Channel) {
        self.request = request
        self.key = key
        self.promise = channel.eventLoop.makePromise()
    }

    func channelActive(context: ChannelHandlerContext) {
        var bytes = ByteBuffer()
        bytes.writeRequestHead(self.request)
        context.writeAndFlush(self.wrapOutboundOut(bytes), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isDone else { return context.fireChannelRead(data) }
        var bytes = self.unwrapInboundIn(data)
        self.received.writeBuffer(&bytes)
        do {
            guard let head = try self.parser.parse(&self.received) else { return }
            try self.check(head)
            try self.open(context)
        } catch {
            self.fail(error, context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !self.isDone { self.fail(Failure("the connection was closed before the route answered"), context) }
        context.fireChannelInactive()
    }

    /// The connection was never made; who waits is told by `connect` itself.
    func handlerRemoved(context: ChannelHandlerContext) {
        guard !self.isDone else { return }
        self.isDone = true
        self.promise.fail(Failure("the connection could not be made"))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.isDone ? context.fireErrorCaught(error) : self.fail(error, context)
    }

    private func check(_ head: ResponseHead) throws {
        guard head.status == 101 else { throw Failure("refused with \(head.status) \(head.reason)\(self.body)") }
        let accept = String(buffer: WebSocketHandshake.accept(self.key))
        guard head.fields.hasToken("websocket", in: "upgrade"), head.fields["sec-websocket-accept"] == accept else {
            throw Failure("what answers there is no WebSocket server")
        }
    }

    /// What a refusal says, as far as it has come: gateways answer in one piece.
    private var body: String {
        let text = String(buffer: self.received).prefix(300).split(whereSeparator: \.isNewline).joined(separator: " ")
        return text.isEmpty || text.hasPrefix("<") ? "" : ": \(text)"
    }

    private func open(_ context: ChannelHandlerContext) throws {
        let pipeline = context.pipeline.syncOperations
        try pipeline.addHandler(WebSocketFrameEncoder())
        try pipeline.addHandler(ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: 16 * 1_024 * 1_024)))
        try pipeline.addHandler(
            NIOWebSocketFrameAggregator(
                minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 10_000,
                maxAccumulatedFrameSize: 16 * 1_024 * 1_024))
        let channel = try NIOAsyncChannel<WebSocketFrame, WebSocketFrame>(wrappingChannelSynchronously: context.channel)
        self.isDone = true
        self.promise.succeed(channel)
        if self.received.readableBytes > 0 { context.fireChannelRead(self.wrapInboundOut(self.received)) }
        context.fireChannelReadComplete()
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        self.isDone = true
        self.promise.fail(error)
        context.close(promise: nil)
    }
}
