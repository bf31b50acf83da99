import HTTP1
import NIOCore
import NIOHPACK
import NIOHTTP2

/// A browser's connection in HTTP/2, for the shard: each of its streams is a `ProxyHandler` of its own.
final class HTTP2Connection: ChannelInboundHandler, ShardConnection {
    typealias InboundIn = HTTP2Frame

    /// Requests that one browser has under way at the same time.
    private static let streams = 100
    /// Bytes that a browser may send before we have passed them on: on one stream, and on all.
    private static let (streamWindow, connectionWindow) = (262_144, 1 << 20)
    /// Bytes of an answer that wait for the browser before the upstream is no longer read.
    private static let (most, few) = (65_536, 32_768)

    private let shard: ProxyShard
    private var context: ChannelHandlerContext?
    /// The manager's times hold.
    let deadline = NIODeadline.distantFuture
    var watchIndex = -1

    private init(shard: ProxyShard) {
        self.shard = shard
    }

    /// Puts all that HTTP/2 needs behind `context` into its pipeline.
    static func install(
        in context: ChannelHandlerContext, shard: ProxyShard, peer: Peer, transport: Transport
    ) throws {
        let pipeline = context.pipeline.syncOperations
        let manager = NIOHTTP2ServerConnectionManagementHandler(
            eventLoop: context.eventLoop,
            configuration: .init(
                maxIdleTime: shard.configuration.keepAliveTime, maxAge: nil, maxGraceTime: nil,
                keepalive: .init(pingInterval: shard.configuration.keepAliveTime, ackTimeout: .seconds(20))))
        let box = NIOLoopBound(shard, eventLoop: context.eventLoop)
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: Self.streams),
            // Twice what is taken, so that a head that is too large is answered (431) and does not end the connection.
            HTTP2Setting(parameter: .maxHeaderListSize, value: 2 * shard.configuration.headLimits.headBytes),
            HTTP2Setting(parameter: .initialWindowSize, value: Self.streamWindow),
        ]
        connection.targetWindowSize = Self.connectionWindow
        var stream = NIOHTTP2Handler.StreamConfiguration()
        stream.targetWindowSize = Self.streamWindow
        stream.outboundBufferSizeHighWatermark = Self.most
        stream.outboundBufferSizeLowWatermark = Self.few
        _ = try pipeline.configureHTTP2Pipeline(
            mode: .server, connectionConfiguration: connection, streamConfiguration: stream,
            streamDelegate: manager.http2StreamDelegate
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                let shard = box.value
                try channel.pipeline.syncOperations.addHandlers(
                    HTTP2StreamBridge(),
                    ProxyHandler(
                        shard: shard, peer: peer, transport: transport,
                        deadline: shard.watch.deadline(in: shard.configuration.headTime)))
            }
        }
        try pipeline.addHandlers(manager, HTTP2Connection(shard: shard))
        // The connection has long been open, so nobody else tells the manager to begin.
        manager.channelActive(context: try pipeline.context(handler: manager))
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.shard.opened(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // What is wrong with one stream has been told on that stream.
        guard !(error is NIOHTTP2Errors.StreamError) else { return }
        self.shard.metrics.refused.increment()
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.shard.closed(self)
    }

    func deadlinePassed() {}

    /// Takes no new requests (GOAWAY), and ends with the last one.
    func drain() { self.context?.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }

    func abort() { self.context?.close(promise: nil) }
}
