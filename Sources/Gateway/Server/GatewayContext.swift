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
    package let control: ControlPost
    /// What it does and says there.
    private let room: ControlRoom
    /// Browsers whose commands come in requests of their own.
    let emulated = EmulatedSessions()
    /// Tells the application who comes and goes; `nil` where it does not want to know.
    let lifecycle: LifecycleService?
    let layer: any ChannelLayer
    let ask: AskWorker
    let log: BoundedLog
    let routes: GatewayRoutes
    private let origins: OriginCheck
    private let proxies: TrustedProxies
    private let frames: FrameBuilder
    private let counts: Mutex<ConnectionCounts>
    private let lastID = Atomic<UInt64>(0)
    private let draining = Atomic(false)

    /// - Parameter tell: how the application is told of lifecycle events; `nil` for as `ask` does.
    /// - Throws: `RouteError` for routes, origins or proxies that cannot be used.
    init(
        configuration: GatewayConfiguration, name: String, version: String, layer: any ChannelLayer,
        eventLoops: [any EventLoop], ask: @escaping AskWorker, tell: AskWorker? = nil,
        proxies: ProxyEndpoints = ProxyEndpoints(), logger: Logger, metrics: GatewayMetrics
    ) throws {
        self.configuration = configuration
        self.metrics = metrics
        self.layer = layer
        self.ask = ask
        self.log = BoundedLog(logger)
        self.routes = try GatewayRoutes(configuration, ask: ask, layer: layer, proxies: proxies)
        self.origins = try OriginCheck(allowing: configuration.allowedOrigins)
        self.proxies = try TrustedProxies(configuration.trustedProxies)
        self.frames = FrameBuilder(
            compresses: configuration.compression, epoch: UInt64(WallClock.seconds()) << 16 | .random(in: 0...0xFFFF))
        self.counts = Mutex(ConnectionCounts(limits: configuration.limits))
        self.control = try ControlPost(layer: layer)
        let emulated = self.emulated
        self.control.handle(EmulatedCommands.command) { message in
            if let said = EmulatedCommands(message) { emulated.take(said) }
        }
        var bridge: GroupBridge?
        if let client = self.routes.client, let home = eventLoops.first {
            bridge = GroupBridge(
                client.configuration.groupLinks, client.rules.namespaces, store: layer.store, home: home,
                metrics: metrics, log: self.log)
        }
        self.hub = Hub(
            eventLoops: eventLoops, ruleSets: self.routes.ruleSets, pushes: self.routes.pushes, frames: self.frames,
            slice: configuration.slice, control: self.control, metrics: metrics, log: self.log, store: layer.store,
            bridge: bridge, checkInterval: configuration.client?.positionCheckInterval ?? 40)
        self.room = ControlRoom(
            name: name, version: version, control: self.control, layer: layer, shards: self.hub.shards, log: self.log)
        if let lifecycle = configuration.lifecycle, let store = layer.store, let home = eventLoops.first {
            self.lifecycle = try LifecycleService(
                lifecycle, store: store, control: self.control, ask: tell ?? ask, home: home,
                metrics: LifecycleMetrics(), log: self.log)
        } else {
            self.lifecycle = nil
        }
    }

    /// Connects the gateway to the layer. Called once, before the first browser.
    ///
    /// - Parameter runsClock: whether seconds pass by themselves.
    func start(runsClock: Bool) {
        self.room.start(runsClock: runsClock) { [weak self] in self?.census }
        self.hub.start(on: self.layer, runsClock: runsClock, observer: self.lifecycle?.note(_:isFollowed:)) {
            [weak self] in self?.room.announce()
        }
        if runsClock { self.lifecycle?.start() }
    }

    /// Says what there is to say of the end, and hears nothing more from the layer.
    func stop() async {
        await self.lifecycle?.stop()
        self.room.stop()
        self.hub.stop()
    }

    // MARK: Requests

    enum Request {
        case answer(Answer)
        case collect(RequestBody)
        case admit(Admission)
    }

    /// What a request is, as far as it can be said without waiting.
    func request(_ head: RequestHead, from peer: Peer) -> Request {
        let path = head.path
        let client = ClientAddress(
            peer: peer, forwardedFor: head.fields.values("x-forwarded-for"), realIP: head.fields["x-real-ip"],
            trusted: self.proxies)
        if self.isDraining { return .answer(self.refuse(.stopping, head, from: client)) }
        if path == self.configuration.pathPrefix + "carillon.js" {
            return .answer(BrowserModule.answer(to: head))
        }
        do throws(RequestFault) {
            guard let (route, captures) = self.routes.find(path) else {
                throw RequestFault(404, .noRoute, "There is no route here.")
            }
            if let path = route.clientPath, !path.isWebSocket {
                return ClientRequest(context: self, route: route, path: path, head: head, client: client).request()
            }
            let (opening, kind) = try self.opening(for: head)
            guard route.client == nil || kind == .webSocket else {
                throw RequestFault(426, .noStream, "Open a WebSocket here.")
            }
            let handshake = Handshake(head: head, kind: kind, client: client, captures: captures)
            let isUnidirectional = route.clientPath?.isUnidirectional == true
            let first = isUnidirectional ? handshake.queryItem("cf_connect").map { ByteBuffer(string: $0) } : nil
            return .admit(
                Admission(context: self, route: route, handshake: handshake, opening: opening, first: first))
        } catch {
            return .answer(self.refuse(error, head, from: client))
        }
    }

    /// What the request wants to open on a route.
    private func opening(for head: RequestHead) throws(RequestFault) -> (Opening, Handshake.Kind) {
        if WebSocketHandshake.isUpgrade(head) {
            let key = try WebSocketHandshake.key(of: head)
            let agreement =
                self.configuration.compression
                ? CompressionAgreement(offers: head.fields.values("sec-websocket-extensions")) : nil
            return (.webSocket(key: key, compression: agreement), .webSocket)
        }
        guard head.method == "GET" else {
            throw RequestFault(405, .wrongMethod, "A WebSocket or an event stream is opened with GET.")
        }
        guard head.fields.accepts("text/event-stream") else {
            throw RequestFault(
                426, .noStream, "Open a WebSocket here, or an event stream (Accept: text/event-stream).")
        }
        return (.eventStream, .eventStream)
    }

    /// The answer to a request that is no valid handshake, for no route, or too late; counted and logged.
    ///
    /// - Parameter head: `nil` when there was none that could be read.
    func refuse(
        _ fault: RequestFault, _ head: RequestHead?, from client: ClientAddress, fields: [(String, String)] = []
    ) -> Answer {
        // A stop is nobody's fault.
        if fault.reason != .stopping { self.metrics.badRequests.increment() }
        self.log.log(
            .info, "Request refused",
            metadata: [
                LogKey.reason: "\(fault.reason.rawValue)", LogKey.status: "\(fault.status)",
                LogKey.error: "\(fault.message)", LogKey.target: "\(head?.path.prefix(200) ?? "")",
                LogKey.peer: "\(client)",
            ])
        return Answer.refusal(
            fault.status, fault.reason.rawValue, fault.message, fields: fields.isEmpty ? fault.fields : fields,
            isLocal: client.isOnThisHost(head?.fields))
    }

    /// The same for a connection without a head that could be read: the peer is all that is known.
    func refuse(_ fault: RequestFault, from peer: Peer) -> Answer {
        self.refuse(fault, nil, from: ClientAddress(peer: peer, forwardedFor: [], realIP: nil, trusted: .none))
    }

    /// What is checked before anybody is asked.
    func check(_ handshake: Handshake, on route: GatewayRoute) throws(Refusal) {
        try route.configuration.check(handshake, gatewayOrigins: self.origins)
    }

    /// Commands of a browser whose stream is here, or at another gateway.
    func emulate(_ said: EmulatedCommands) {
        if said.node == self.control.node {
            self.emulated.take(said)
        } else {
            self.control.send(EmulatedCommands.command, said.entries, to: said.node)
        }
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

    /// Connections that are let in or being let in.
    var connectionCount: Int { self.counts.withLock { $0.total } }

    /// What is held now.
    package var census: GatewayCensus {
        let (connections, users) = self.counts.withLock { ($0.total, $0.users) }
        return GatewayCensus(
            connections: connections, users: users, groups: self.hub.groupCount,
            subscriptions: self.hub.subscriptionCount)
    }

    // MARK: Takeover

    /// The session of a snapshot in this gateway's own terms.
    ///
    /// - Throws: for a route that is not here, and whatever else cannot be.
    func info(for snapshot: SessionSnapshot) throws(SnapshotError) -> SessionInfo {
        let route = self.routes.routes.first { $0.configuration.path.text == snapshot.route }
        guard let route, (route.client == nil) == (snapshot.client == nil) else {
            throw SnapshotError("there is no route \(snapshot.route)")
        }
        if let endpoint = route.client, let client = snapshot.client {
            _ = try ClientProtocol(client, rules: endpoint.rules)
        }
        return SessionInfo(
            route: route, plan: RouteConfiguration.Plan(groups: snapshot.groups, receiver: snapshot.receiver),
            user: snapshot.user, address: snapshot.address.flatMap { IPAddress($0) }, isCounted: snapshot.isCounted,
            opening: ByteBuffer(), wire: snapshot.wire, transport: snapshot.client?.transport,
            handshake: try snapshot.handshake?.handshake())
    }

    /// - Parameter name: what the application knows it by.
    func tookOver(_ session: Session, as name: String?) {
        if session.info.isCounted {
            self.counts.withLock { $0.restore(session.info.address, user: session.info.user) }
        }
        self.metrics.takenOver.increment()
        self.metrics.connections.increment()
        self.introduced(session, as: name)
        self.log.log(.debug, "Browser taken over", metadata: session.logMetadata())
    }

    func passedOn(_ session: Session) {
        if session.info.isCounted { self.uncount(session.info.address, user: session.info.user) }
        self.metrics.passedOn.increment()
        self.metrics.connections.decrement()
        if let name = session.introducedName { self.lifecycle?.note(.moved(name)) }
        session.introducedName = nil
        self.log.log(.debug, "Browser passed on", metadata: session.logMetadata())
    }

    // MARK: Sessions

    func makeSession(_ info: SessionInfo, shard: HubShard, socket: BrowserSocket) -> Session {
        var parser: WebSocketParser?
        switch info.wire {
        case .webSocket:
            parser = WebSocketParser(messageLimit: self.configuration.session.messageLimit)
        case .webSocketDeflate:
            parser = WebSocketParser(messageLimit: self.configuration.session.messageLimit, inflater: shard.inflater)
        case .eventStream, .clientStream, .clientEvents: break
        }
        return Session(
            id: self.lastID.wrappingAdd(1, ordering: .relaxed).newValue, shard: shard, socket: socket,
            parser: parser, info: info, context: self)
    }

    func opened(_ session: Session) {
        self.metrics.handshakes.increment()
        self.metrics.connections.increment()
        // Whoever is to say who it is counts as connected when it has.
        if session.client == nil { self.introduced(session) }
        self.log.log(.debug, "Browser connected", metadata: session.logMetadata())
    }

    /// It is known who is on a connection.
    ///
    /// - Parameter name: of one that has been told elsewhere.
    func introduced(_ session: Session, as name: String? = nil) {
        guard let lifecycle, session.introducedName == nil else { return }
        let name = name ?? session.client?.id ?? "\(self.control.node)-\(session.id)"
        session.introducedName = name
        let transport =
            session.client?.transport.path.rawValue ?? (session.form.wire.isWebSocket ? "websocket" : "event_stream")
        lifecycle.note(.connected(name, LifecycleClient(user: session.info.user ?? "", transport: transport)))
    }

    /// The connection ends.
    func departed(_ session: Session, _ code: CloseCode) {
        guard let name = session.introducedName else { return }
        session.introducedName = nil
        self.lifecycle?.note(.disconnected(name, code: code.rawValue))
    }

    func closed(_ session: Session, code: CloseCode, wasOpened: Bool) {
        if session.info.isCounted { self.uncount(session.info.address, user: session.info.user) }
        guard wasOpened else { return }
        self.metrics.connections.decrement()
        self.log.log(
            .debug, "Browser gone", metadata: session.logMetadata([LogKey.closeCode: "\(code.rawValue)"]))
    }

    func slow(_ session: Session, waitingBytes: Int) {
        self.metrics.slowCloses.increment()
        self.log.log(
            .info, "Connection closed as slow", metadata: session.logMetadata([LogKey.queueBytes: "\(waitingBytes)"]))
    }

    func broken(_ session: Session, _ failure: WebSocketParser.Failure) {
        self.metrics.protocolErrors.increment()
        self.log.log(
            .info, "Browser broke the protocol",
            metadata: session.logMetadata([
                LogKey.closeCode: "\(failure.code.rawValue)", LogKey.error: "\(failure.reason)",
            ]))
    }

    /// A browser that speaks the Centrifugo client protocol is sent away.
    func sentAway(_ session: Session, _ reason: ClientDisconnect) {
        switch reason {
        case .badRequest, .inappropriateProtocol, .notAvailable: self.metrics.protocolErrors.increment()
        case .tooManyRequests: self.metrics.rateCloses.increment()
        case .connectionLimit: self.metrics.refused(.userLimit)
        case .invalidToken: self.metrics.refused(.badCredentials)
        default: break
        }
        self.log.log(
            .info, "Browser sent away",
            metadata: session.logMetadata([
                LogKey.closeCode: "\(reason.rawValue)", LogKey.error: "\(reason.reason)",
            ]))
    }

    func tooFast(_ session: Session) {
        self.metrics.rateCloses.increment()
        self.log.log(.info, "Browser said too much", metadata: session.logMetadata())
    }

    func refused(_ refusal: Refusal, _ handshake: Handshake) {
        self.metrics.refused(refusal.reason)
        self.log.log(
            refusal.status == 503 ? .warning : .info, "Browser refused",
            metadata: [
                LogKey.reason: "\(refusal.reason.rawValue)", LogKey.status: "\(refusal.status)",
                LogKey.error: "\(refusal.message)", LogKey.peer: "\(handshake.client)",
                LogKey.target: "\(handshake.head.path.prefix(200))",
            ])
    }

    func handoffRejected(_ fault: String) {
        self.metrics.badHandoffs.increment()
        self.log.log(.warning, "Hand-off refused", metadata: [LogKey.error: "\(fault)"])
    }

    func adoptionFailed(_ error: any Error) {
        self.log.log(.warning, "A handed-over socket could not be used", metadata: [LogKey.error: "\(error)"])
    }

    func frame(for outcome: RuleOutcome, on wire: Wire) -> Frame? { self.frames.frame(for: outcome, on: wire) }

    // MARK: The end

    func startDraining() { self.draining.store(true, ordering: .relaxed) }

    /// Nobody is let in any more.
    var isDraining: Bool { self.draining.load(ordering: .relaxed) }
}
