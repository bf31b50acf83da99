import ChannelLayer
import HTTP1
import Logging
import NIOCore
import Synchronization
import Telemetry

/// What all connections of a gateway share. Everything in it may be used from any thread.
package final class GatewayContext: Sendable {
    package let configuration: GatewayConfiguration
    package let metrics: GatewayMetrics
    package let hub: Hub
    let layer: any ChannelLayer
    let ask: AskWorker
    let log: BoundedLog
    private let routes: GatewayRoutes
    private let origins: OriginCheck
    private let proxies: TrustedProxies
    private let frames: FrameBuilder
    private let inflater = Inflater()
    private let counts: Mutex<ConnectionCounts>
    private let lastID = Atomic<UInt64>(0)
    private let draining = Atomic(false)

    /// - Throws: `RouteError` for routes, origins or proxies that cannot be used.
    init(
        configuration: GatewayConfiguration, layer: any ChannelLayer, eventLoops: [any EventLoop],
        ask: @escaping AskWorker, logger: Logger, metrics: GatewayMetrics
    ) throws {
        self.configuration = configuration
        self.metrics = metrics
        self.layer = layer
        self.ask = ask
        self.log = BoundedLog(logger)
        self.routes = try GatewayRoutes(configuration.routes, ask: ask)
        self.origins = try OriginCheck(allowing: ["self"] + configuration.allowedOrigins)
        self.proxies = try TrustedProxies(configuration.trustedProxies)
        self.frames = FrameBuilder(
            compresses: configuration.compression, epoch: UInt64(WallClock.seconds()) << 16 | .random(in: 0...0xFFFF))
        self.counts = Mutex(ConnectionCounts(limits: configuration.limits))
        self.hub = Hub(
            eventLoops: eventLoops, ruleSets: self.routes.ruleSets, frames: self.frames, slice: configuration.slice,
            metrics: metrics, log: self.log)
    }

    // MARK: Requests

    enum Request {
        case answer(Answer)
        case admit(Admission)
    }

    /// What a request is, as far as it can be said without waiting.
    func request(_ head: RequestHead, from peer: Peer) -> Request {
        if self.draining.load(ordering: .relaxed) {
            return .answer(
                .text(503, "This gateway is stopping. Come back in a moment.", fields: [("Retry-After", "1")]))
        }
        let path = head.path
        if path == self.configuration.pathPrefix + "carillon.js" {
            return .answer(BrowserModule.answer(to: head))
        }
        guard let (route, captures) = self.routes.find(path) else {
            return self.wrong(.text(404, "There is no route here."))
        }
        let client = ClientAddress(
            peer: peer, forwardedFor: head.fields.values("x-forwarded-for"), realIP: head.fields["x-real-ip"],
            trusted: self.proxies)
        do throws(WebSocketHandshake.Fault) {
            let opening: Opening
            let kind: Handshake.Kind
            if WebSocketHandshake.isUpgrade(head) {
                let key = try WebSocketHandshake.key(of: head)
                let agreement =
                    self.configuration.compression
                    ? CompressionAgreement(offers: head.fields.values("sec-websocket-extensions")) : nil
                opening = .webSocket(key: key, compression: agreement)
                kind = .webSocket
            } else if head.method == "GET", head.fields.accepts("text/event-stream") {
                opening = .eventStream
                kind = .eventStream
            } else {
                throw WebSocketHandshake.Fault(
                    status: 426, message: "Open a WebSocket here, or an event stream (Accept: text/event-stream).")
            }
            let handshake = Handshake(head: head, kind: kind, client: client, captures: captures)
            return .admit(Admission(context: self, route: route, handshake: handshake, opening: opening))
        } catch {
            let upgrade = error.status == 426 ? [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")] : []
            return self.wrong(.text(error.status, error.message, fields: upgrade))
        }
    }

    private func wrong(_ answer: Answer) -> Request {
        self.metrics.badRequest()
        return .answer(answer)
    }

    /// What is checked before anybody is asked.
    func check(_ handshake: Handshake, on route: GatewayRoute) throws(Refusal) {
        try route.configuration.check(handshake, gatewayOrigins: self.origins)
    }

    // MARK: Counting

    func count(_ address: IPAddress?) throws(Refusal) {
        try self.counting { counts throws(Refusal) in try counts.admit(address) }
    }

    func count(user: String) throws(Refusal) {
        try self.counting { counts throws(Refusal) in try counts.admit(user: user) }
    }

    private func counting(_ body: (inout ConnectionCounts) throws(Refusal) -> Void) throws(Refusal) {
        let outcome = self.counts.withLock { counts -> Result<Void, Refusal> in
            do throws(Refusal) {
                return .success(try body(&counts))
            } catch {
                return .failure(error)
            }
        }
        try outcome.get()
    }

    func uncount(_ address: IPAddress?, user: String?) {
        self.counts.withLock { $0.release(address, user: user) }
    }

    /// Connections that are admitted or being admitted.
    package var connectionCount: Int { self.counts.withLock { $0.total } }

    // MARK: Sessions

    func makeSession(_ info: SessionInfo, shard: HubShard, socket: BrowserSocket) -> Session {
        var parser: WebSocketParser?
        switch info.wire {
        case .webSocket:
            parser = WebSocketParser(messageLimit: self.configuration.session.messageLimit)
        case .webSocketDeflate:
            parser = WebSocketParser(messageLimit: self.configuration.session.messageLimit, inflater: self.inflater)
        case .eventStream: break
        }
        return Session(
            id: self.lastID.wrappingAdd(1, ordering: .relaxed).newValue, shard: shard, socket: socket,
            parser: parser, info: info, context: self)
    }

    func opened(_ session: Session) {
        self.metrics.handshakes.increment()
        self.metrics.connections.increment()
        self.log.log(.debug, "Browser connected", metadata: session.logMetadata)
    }

    func closed(_ session: Session, code: CloseCode, wasOpened: Bool) {
        if session.info.isCounted { self.uncount(session.info.address, user: session.info.user) }
        guard wasOpened else { return }
        self.metrics.connections.decrement()
        var metadata = session.logMetadata
        metadata[LogKey.closeCode] = "\(code.rawValue)"
        self.log.log(.debug, "Browser gone", metadata: metadata)
    }

    func slow(_ session: Session, waitingBytes: Int) {
        self.metrics.slowCloses.increment()
        var metadata = session.logMetadata
        metadata[LogKey.queueBytes] = "\(waitingBytes)"
        self.log.log(.info, "Connection closed as slow", metadata: metadata)
    }

    func broken(_ session: Session, _ failure: WebSocketParser.Failure) {
        self.metrics.protocolError()
        var metadata = session.logMetadata
        metadata[LogKey.closeCode] = "\(failure.code.rawValue)"
        metadata[LogKey.error] = "\(failure.reason)"
        self.log.log(.info, "Browser broke the protocol", metadata: metadata)
    }

    func tooFast(_ session: Session) {
        self.metrics.saidTooMuch()
        self.log.log(.info, "Browser said too much", metadata: session.logMetadata)
    }

    func refused(_ refusal: Refusal, _ handshake: Handshake) {
        self.metrics.refused(refusal.reason)
        self.log.log(
            refusal.status == 503 ? .warning : .info, "Browser refused",
            metadata: [
                LogKey.reason: "\(refusal.reason.rawValue)", LogKey.error: "\(refusal.message)",
                LogKey.peer: "\(handshake.client)", LogKey.route: "\(handshake.head.path.prefix(200))",
            ])
    }

    func adoptionFailed(_ error: any Error) {
        self.log.log(.warning, "A handed-over socket could not be used", metadata: [LogKey.error: "\(error)"])
    }

    func frame(for outcome: RuleOutcome, on wire: Wire) -> Frame? { self.frames.frame(for: outcome, on: wire) }

    // MARK: The end

    func startDraining() { self.draining.store(true, ordering: .relaxed) }
}
