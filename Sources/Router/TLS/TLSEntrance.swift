import HTTP1
import Logging
import NIOCore
import NIOSSL
import NIOTLS
import Telemetry

/// A connection from its first byte to the end of the TLS handshake: chooses our certificate by the host that the browser
/// asks for, then what is spoken.
final class TLSEntrance: ChannelInboundHandler, RemovableChannelHandler, ShardConnection {
    typealias InboundIn = ByteBuffer

    private let shard: ProxyShard
    private let peer: Peer
    private let contexts: TLSContexts
    private var identity = 0
    private var context: ChannelHandlerContext?
    private(set) var deadline: NIODeadline
    var watchIndex = -1

    init(shard: ProxyShard, contexts: TLSContexts, peer: Peer, deadline: NIODeadline) {
        self.shard = shard
        self.contexts = contexts
        self.peer = peer
        self.deadline = deadline
    }

    /// Puts what is needed for the handshake into the pipeline of a new connection.
    func install(in pipeline: ChannelPipeline.SynchronousOperations) throws {
        let sni = SNIHandler { result in
            pipeline.eventLoop.makeCompletedFuture { try self.choose(result, pipeline) }
        }
        try pipeline.addHandler(ByteToMessageHandler(sni))
        try pipeline.addHandler(self)
    }

    private func choose(_ result: SNIResult, _ pipeline: ChannelPipeline.SynchronousOperations) throws {
        if case .hostname(let host) = result { self.identity = self.contexts.index(of: host) }
        guard let context = self.contexts.context(self.identity) else { throw ChannelError.ioOnClosedChannel }
        try pipeline.addHandler(NIOSSLServerHandler(context: context), position: .before(self))
    }

    // MARK: Events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.shard.opened(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshakeCompleted(let chosen)? = event as? TLSUserEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        do {
            try self.enter(context, chosen)
            // Only now, so that the shard is never without the connection.
            self.leave()
            context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        } catch {
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard self.watchIndex >= 0 else { return context.fireErrorCaught(error) }
        self.shard.metrics.handshakesFailed.increment()
        self.shard.boundedLog.log(
            .info, "TLS handshake failed", metadata: [LogKey.peer: "\(self.peer)", LogKey.error: "\(error)"])
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.leave()
        context.fireChannelInactive()
    }

    private func leave() {
        if self.watchIndex >= 0 { self.shard.closed(self) }
    }

    func deadlinePassed() {
        self.shard.metrics.silent.increment()
        self.abort()
    }

    func drain() {}

    func abort() {
        self.deadline = .distantFuture
        self.context?.close(promise: nil)
    }

    // MARK: After the handshake

    private func enter(_ context: ChannelHandlerContext, _ chosen: String?) throws {
        let pipeline = context.pipeline.syncOperations
        var transport = Transport(isSecure: true, tls: TLSSession(contexts: self.contexts, identity: self.identity))
        if self.contexts.asksForCertificates(self.identity) {
            let certificate = try pipeline.nioSSL_peerCertificate()
            let facts = certificate.flatMap(CertificateNames.facts)
            // One that was believed and cannot be told of is none to build on.
            guard certificate == nil || facts != nil else { throw ChannelError.ioOnClosedChannel }
            transport.certificate = CertificateFacts(certificate: facts)
        } else {
            transport.certificate = CertificateFacts(certificate: nil)
        }
        if chosen == "h2" {
            transport.isHTTP2 = true
            try HTTP2Connection.install(in: context, shard: self.shard, peer: self.peer, transport: transport)
        } else {
            try pipeline.addHandler(
                ProxyHandler(shard: self.shard, peer: self.peer, transport: transport, deadline: self.deadline))
        }
    }
}

/// What a connection's handshake has settled.
struct TLSSession: Sendable {
    let contexts: TLSContexts
    /// Which of our certificates the browser has seen.
    let identity: Int

    /// Whether a request for `host` came on the wrong connection (RFC 9110 section 15.5.20): another of our certificates is
    /// for it, and one of the two asks browsers who they are. Whoever is believed for one host may be nobody for another.
    func misdirects(_ host: String) -> Bool {
        let right = self.contexts.index(of: host)
        return right != self.identity
            && (self.contexts.asksForCertificates(right) || self.contexts.asksForCertificates(self.identity))
    }
}
