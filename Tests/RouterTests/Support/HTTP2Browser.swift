import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import NIOSSL

/// A browser that speaks HTTP/2, for tests.
final class HTTP2Browser: Sendable {
    struct Answer: Sendable {
        var heads: [HPACKHeaders] = []
        var body = ByteBuffer()
        var trailers: HPACKHeaders?
        /// Why the stream was reset.
        var reset: HTTP2ErrorCode?

        var status: String? { self.heads.last?.first(name: ":status") }
        var text: String { String(buffer: self.body) }
    }

    private let channel: any Channel
    private let streams: NIOHTTP2Handler.StreamMultiplexer

    init(port: Int, host: String = "example.org", authority: String) throws {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .file(authority)
        tls.applicationProtocols = ["h2"]
        let context = try NIOSSLContext(configuration: tls)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let streams = loop.makePromise(of: NIOHTTP2Handler.StreamMultiplexer.self)
        let connected = ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        NIOSSLClientHandler(context: context, serverHostname: host))
                    // Before anything can come: the server's settings are its first words, and are said once.
                    streams.succeed(
                        try channel.pipeline.syncOperations.configureHTTP2Pipeline(
                            mode: .client, connectionConfiguration: .init(), streamConfiguration: .init()
                        ) { $0.close() })
                }
            }
            .connect(host: "127.0.0.1", port: port)
        connected.whenFailure { streams.fail($0) }
        self.channel = try connected.wait()
        self.streams = try streams.futureResult.wait()
    }

    deinit { self.channel.close(promise: nil) }

    /// Waits until the connection has ended.
    func waitForEnd() throws { try self.channel.closeFuture.wait() }

    /// Begins a request: its frames are sent in one go.
    func begin(
        _ method: String = "GET", _ path: String, host: String = "example.org", _ fields: [(String, String)] = [],
        body: [String] = [], trailers: [(String, String)]? = nil, ends: Bool = true
    ) throws -> EventLoopFuture<Answer> {
        let answer = self.channel.eventLoop.makePromise(of: Answer.self)
        let made = self.channel.eventLoop.makePromise(of: (any Channel).self)
        self.streams.createStreamChannel(promise: made) { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandler(Collector(answer))
            }
        }
        let stream = try made.futureResult.wait()
        var headers = HPACKHeaders([
            (":method", method), (":scheme", "https"), (":path", path), (":authority", host),
        ])
        headers.add(contentsOf: fields)
        let isAll = body.isEmpty && trailers == nil && ends
        stream.write(HTTP2Frame.FramePayload.headers(.init(headers: headers, endStream: isAll)), promise: nil)
        for (index, piece) in body.enumerated() {
            let isLast = ends && trailers == nil && index == body.count - 1
            let data = HTTP2Frame.FramePayload.Data(data: .byteBuffer(ByteBuffer(string: piece)), endStream: isLast)
            stream.write(HTTP2Frame.FramePayload.data(data), promise: nil)
        }
        if let trailers {
            stream.write(
                HTTP2Frame.FramePayload.headers(.init(headers: HPACKHeaders(trailers), endStream: true)), promise: nil)
        }
        stream.flush()
        return answer.futureResult
    }

    /// A whole request and its whole answer.
    func ask(
        _ method: String = "GET", _ path: String, host: String = "example.org", _ fields: [(String, String)] = [],
        body: [String] = [], trailers: [(String, String)]? = nil, ends: Bool = true
    ) throws -> Answer {
        try self.begin(method, path, host: host, fields, body: body, trailers: trailers, ends: ends).wait()
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = HTTP2Frame.FramePayload
        private var answer = Answer()
        private let promise: EventLoopPromise<Answer>

        init(_ promise: EventLoopPromise<Answer>) { self.promise = promise }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch self.unwrapInboundIn(data) {
            case .headers(let headers) where headers.headers.contains(name: ":status"):
                self.answer.heads.append(headers.headers)
                if headers.endStream { self.promise.succeed(self.answer) }
            case .headers(let headers):
                self.answer.trailers = headers.headers
                if headers.endStream { self.promise.succeed(self.answer) }
            case .data(let data):
                if case .byteBuffer(var bytes) = data.data { self.answer.body.writeBuffer(&bytes) }
                if data.endStream { self.promise.succeed(self.answer) }
            case .rstStream(let code):
                self.answer.reset = code
                self.promise.succeed(self.answer)
            default: break
            }
        }

        func channelInactive(context: ChannelHandlerContext) { self.promise.fail(ChannelError.eof) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { self.promise.fail(error) }
    }
}
