import HTTP1
package import Logging
package import NIOCore
import NIOPosix
package import Settings

/// Serves `/healthz` and `/metrics` to operators, on an address of its own.
///
/// `/healthz` answers 200 when the process is ready and 503, with the reasons, when it is not; `/healthz/alive` answers
/// 200 as long as anything answers at all. One request per connection.
package struct InternalServer: Sendable {
    private let registry: PrometheusRegistry
    private let health: HealthState
    private let logger: Logger

    package init(registry: PrometheusRegistry, health: HealthState, logger: Logger) {
        self.registry = registry
        self.health = health
        self.logger = logger
    }

    /// Begins to listen.
    ///
    /// - Returns: the listening socket; closing it ends the service.
    package func listen(on address: ListenAddress, group: any EventLoopGroup) async throws -> any Channel {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: true)
            .childChannelInitializer { [registry, health] channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = InternalHandler(registry: registry, health: health)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
        let channel =
            switch address {
            case .tcp(let host, let port): try await bootstrap.bind(host: host, port: port).get()
            case .unix(let path):
                try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
            case .descriptor(let number): try await bootstrap.withBoundSocket(number).get()
            }
        self.logger.info(
            "Health and metrics are served",
            metadata: [LogKey.address: "\(address.bound(toPort: channel.localAddress?.port))"])
        return channel
    }
}

/// Answers the one request of a connection and closes it.
private final class InternalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let registry: PrometheusRegistry
    private let health: HealthState
    private var parser = RequestHeadParser(limits: HeadLimits())
    private var received = ByteBuffer()
    private var deadline: Scheduled<Void>?
    private var isAnswered = false

    init(registry: PrometheusRegistry, health: HealthState) {
        self.registry = registry
        self.health = health
    }

    func channelActive(context: ChannelHandlerContext) {
        // Who says nothing, or reads nothing, is gone after this.
        let channel = context.channel
        self.deadline = context.eventLoop.scheduleTask(in: .seconds(10)) { channel.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) { self.deadline?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isAnswered else { return }
        var bytes = self.unwrapInboundIn(data)
        self.received.writeBuffer(&bytes)
        do throws(HTTP1Error) {
            guard let head = try self.parser.parse(&self.received) else { return }
            self.answer(head, context)
        } catch {
            self.send(
                error.status, "text/plain; charset=utf-8", ByteBuffer(string: "\(error.message)\n"), true, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(_ head: RequestHead, _ context: ChannelHandlerContext) {
        let hasBody = head.method != "HEAD"
        guard head.method == "GET" || head.method == "HEAD" else {
            return self.send(
                405, "text/plain; charset=utf-8", ByteBuffer(string: "only GET and HEAD\n"), hasBody, context)
        }
        switch head.path {
        case "/healthz":
            self.send(self.health.isReady ? 200 : 503, "application/json", self.health.json(), hasBody, context)
        case "/healthz/alive": self.send(200, "application/json", self.health.json(), hasBody, context)
        case "/metrics":
            self.send(200, PrometheusText.contentType, ByteBuffer(string: self.registry.render()), hasBody, context)
        default:
            let body = ByteBuffer(string: "there are /healthz, /healthz/alive and /metrics\n")
            self.send(404, "text/plain; charset=utf-8", body, hasBody, context)
        }
    }

    private func send(
        _ status: Int, _ type: String, _ body: ByteBuffer, _ hasBody: Bool, _ context: ChannelHandlerContext
    ) {
        self.isAnswered = true
        var head = ResponseHead(status: status)
        head.fields.append("content-type", type)
        head.fields.append("content-length", "\(body.readableBytes)")
        head.fields.append("cache-control", "no-store")
        head.fields.append("connection", "close")
        var answer = ByteBuffer()
        answer.writeResponseHead(head)
        if hasBody { answer.writeImmutableBuffer(body) }
        let channel = context.channel
        context.writeAndFlush(self.wrapOutboundOut(answer)).whenComplete { _ in channel.close(promise: nil) }
    }
}
