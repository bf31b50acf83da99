import NIOCore
import NIOPosix
import NIOSSL

/// Lets plain sockets of a test speak TLS: what connects to its port comes out at another one, in TLS.
final class SecureDoor: Sendable {
    let port: Int
    private let listener: any Channel

    /// - Parameters:
    ///   - port: the router's.
    ///   - host: asked for in the handshake; `nil` asks for none.
    ///   - authority: a PEM file of whom to believe.
    ///   - identity: who we are.
    init(
        to port: Int, host: String? = "example.org", authority: String, identity: TestAuthority.Files? = nil,
        protocols: [String] = ["http/1.1"]
    ) throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(authority)
        configuration.certificateVerification = host == nil ? .noHostnameVerification : .fullVerification
        configuration.applicationProtocols = protocols
        if let identity {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(identity.certificate)
                .map { .certificate($0) }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: identity.key, format: .pem))
        }
        let context = try NIOSSLContext(configuration: configuration)
        self.listener = try ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { inner in
                ClientBootstrap(group: inner.eventLoop)
                    .channelOption(.allowRemoteHalfClosure, value: true)
                    .channelInitializer { outer in
                        outer.eventLoop.makeCompletedFuture {
                            try outer.pipeline.syncOperations.addHandler(
                                NIOSSLClientHandler(context: context, serverHostname: host))
                            try outer.pipeline.syncOperations.addHandler(Passage(to: inner))
                        }
                    }
                    .connect(host: "127.0.0.1", port: port)
                    .flatMapThrowing { try inner.pipeline.syncOperations.addHandler(Passage(to: $0)) }
                    .flatMap { inner.setOption(.autoRead, value: true) }
            }
            .bind(host: "127.0.0.1", port: 0).wait()
        self.port = self.listener.localAddress?.port ?? 0
    }

    deinit { self.listener.close(promise: nil) }

    func connect() throws -> Socket { try Socket.connect(port: self.port) }

    /// Passes on bytes and ends, one way.
    private final class Passage: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let other: any Channel

        init(to other: any Channel) { self.other = other }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            self.other.writeAndFlush(self.unwrapInboundIn(data), promise: nil)
        }
        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event as? ChannelEvent == .inputClosed { self.other.close(mode: .output, promise: nil) }
        }
        func channelInactive(context: ChannelHandlerContext) { self.other.close(promise: nil) }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
