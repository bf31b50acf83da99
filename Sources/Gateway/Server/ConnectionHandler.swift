import HTTP1
import NIOCore

/// One browser's connection, from accept to close: reads the request head, has it admitted, then passes what comes to
/// the session. The only handler in the pipeline; it holds no decision of its own.
///
/// ```
///  head ──▶ admitting ──▶ session ──▶ ended
///    └─ refused ──┴─▶ answered (a short HTTP answer, then the connection closes) ──▶ ended
/// ```
final class ConnectionHandler: ChannelInboundHandler, WheelEntry {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase {
        /// Indirect: its room is needed for some milliseconds, and the handler's for as long as the connection lives.
        indirect case head(RequestHeadParser, ByteBuffer)
        /// The head is there, and the body of a request that has one is on its way.
        indirect case body(RequestBody)
        /// Who it is, and whether its groups are heard, is being found out; what the browser says already is kept.
        case admitting(ByteBuffer)
        case session(Session)
        case answered
        case ended
    }

    var wheelPlace: TimerWheel<ConnectionHandler>.Place?
    private let context: GatewayContext
    private let shard: HubShard
    private var phase: Phase
    /// Of the request; empty before it is there.
    private var method = ""

    /// What a connection of another gateway goes on with.
    ///
    /// `@unchecked Sendable`: made by one thread, and touched by the loop that it is given to only.
    enum Continuation: @unchecked Sendable {
        case session(SessionInfo, SessionSnapshot)
        /// What has come of the request's head.
        case newcomer(ByteBuffer)
    }

    private var continuation: Continuation?

    /// - Parameter continuation: for a connection that was taken over.
    init(context: GatewayContext, shard: HubShard, continuing continuation: Continuation? = nil) {
        self.context = context
        self.shard = shard
        self.continuation = continuation
        self.phase = .head(RequestHeadParser(limits: HeadLimits()), ByteBuffer())
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.shard.handshakes.set(self, after: self.context.configuration.handshakeTimeout)
        self.timeoutContext = context
    }

    /// Kept until the handshake is over, to close a connection that takes too long.
    private var timeoutContext: ChannelHandlerContext?

    func handlerRemoved(context: ChannelHandlerContext) { self.timeoutContext = nil }

    // MARK: Socket events

    func channelActive(context: ChannelHandlerContext) {
        guard let continuation = self.continuation else { return }
        self.continuation = nil
        switch continuation {
        case .newcomer(let head):
            guard head.readableBytes > 0 else { return }
            self.readHead(RequestHeadParser(limits: HeadLimits()), head, context)
        case .session(let info, let snapshot):
            self.handshakeIsOver()
            let session = self.context.makeSession(info, shard: self.shard, socket: BrowserSocket(context: context))
            self.phase = .session(session)
            session.resume(snapshot)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        switch self.phase {
        case .session(let session): session.receive(&bytes)
        case .head(let parser, var input):
            self.phase = .ended
            if input.readableBytes == 0 { input = bytes } else { input.writeBuffer(&bytes) }
            self.readHead(parser, input, context)
        case .body(let body):
            self.phase = .ended
            self.collect(body, &bytes, context)
        case .admitting(var early):
            self.phase = .ended
            early.writeBuffer(&bytes)
            self.phase = .admitting(early)
            // A browser waits for the answer; one that sends a lot before is none.
            if early.readableBytes > 65_536 { self.end(context) }
        case .answered, .ended: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.shard.handshakes.remove(self)
        if case .session(let session) = self.phase { session.connectionEnded() }
        self.phase = .ended
        self.timeoutContext = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { self.end(context) }

    /// The handshake took too long.
    func timeIsUp() {
        guard let context = self.timeoutContext else { return }
        switch self.phase {
        case .head, .body, .admitting:
            self.refuse(self.context.refuse(.tooSlow, from: Self.peer(context)), context)
        case .answered: self.end(context)
        case .session, .ended: break
        }
    }

    // MARK: The handshake

    private func readHead(_ parser: RequestHeadParser, _ input: ByteBuffer, _ context: ChannelHandlerContext) {
        var parser = parser
        var input = input
        do {
            guard let head = try parser.parse(&input) else {
                self.phase = .head(parser, input)
                return
            }
            self.method = head.method
            self.go(on: self.context.request(head, from: Self.peer(context)), input, context)
        } catch {
            let fault = RequestFault(error.status, .badRequest, error.message)
            self.refuse(self.context.refuse(fault, from: Self.peer(context)), context)
        }
    }

    private static func peer(_ context: ChannelHandlerContext) -> Peer {
        Peer(local: context.localAddress, remote: context.remoteAddress)
    }

    private func collect(_ body: RequestBody, _ input: inout ByteBuffer, _ context: ChannelHandlerContext) {
        var body = body
        do throws(HTTP1Error) {
            if let request = try body.take(&input) {
                // Nobody says anything more behind it.
                self.go(on: request, ByteBuffer(), context)
            } else {
                self.phase = .body(body)
            }
        } catch {
            let fault = RequestFault(error.status, .badRequest, error.message)
            self.refuse(self.context.refuse(fault, from: Self.peer(context)), context)
        }
    }

    /// - Parameter input: what came behind the request.
    private func go(on request: GatewayContext.Request, _ input: ByteBuffer, _ context: ChannelHandlerContext) {
        switch request {
        case .answer(let answer): self.refuse(answer, context)
        case .collect(let body):
            if body.expects, input.readableBytes == 0 {
                let wanted = ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")
                context.writeAndFlush(self.wrapOutboundOut(wanted), promise: nil)
            }
            var input = input
            self.collect(body, &input, context)
        case .admit(let admission):
            self.phase = .admitting(input)
            let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
            let box = NIOLoopBound(context, eventLoop: context.eventLoop)
            admission.run(on: self.shard) { outcome in handler.value.admitted(outcome, admission, box.value) }
        }
    }

    private func admitted(_ outcome: Admission.Outcome, _ admission: Admission, _ context: ChannelHandlerContext) {
        guard case .admitting(let early) = self.phase else {
            // The browser left, or was too slow, while it was being admitted.
            admission.undo(on: self.shard)
            return
        }
        switch outcome {
        case .refused(let answer): self.refuse(answer, context)
        case .accepted where self.context.isDraining:
            admission.undo(on: self.shard)
            self.refuse(self.context.refuse(.stopping, from: Self.peer(context)), context)
        case .accepted(let info): self.open(info, early, first: admission.first, refusal: nil, context)
        case .acceptedToClose(let info, let refusal): self.open(info, early, first: nil, refusal: refusal, context)
        }
    }

    private func open(
        _ info: SessionInfo, _ early: ByteBuffer, first: ByteBuffer?, refusal: Refusal?,
        _ context: ChannelHandlerContext
    ) {
        self.handshakeIsOver()
        let session = self.context.makeSession(info, shard: self.shard, socket: BrowserSocket(context: context))
        self.phase = .session(session)
        if self.shard.isPaused { session.setReading(false) }
        if let refusal {
            session.send(info.takeOpening())
            session.sendAway(CloseCode(rawValue: refusal.closeCode), reason: refusal.closeReason)
            return
        }
        // In this order: what is published once the browser has seen the answer must find it among the followers, and
        // another loop looks for them at once. Nothing overtakes the answer, since this loop sends what it finds later.
        session.begin()
        session.send(info.takeOpening())
        if let first { session.client?.begin(with: first) }
        var early = early
        if early.readableBytes > 0 { session.receive(&early) }
    }

    private func handshakeIsOver() {
        self.shard.handshakes.remove(self)
        self.timeoutContext = nil
    }

    // MARK: Takeover

    /// Whether it is being found out who it is.
    var isAdmitting: Bool { if case .admitting = self.phase { true } else { false } }

    /// What has come of the head, and the socket; `nil` when the head was read already.
    var head: (bytes: ByteBuffer, descriptor: CInt)? {
        guard case .head(_, let input) = self.phase, let context = self.timeoutContext else { return nil }
        return (input, BrowserSocket(context: context).descriptor)
    }

    func setReading(_ reads: Bool) {
        guard case .head = self.phase else { return }
        try? self.timeoutContext?.channel.syncOptions?.setOption(.autoRead, value: reads)
    }

    /// Another gateway has the socket: this copy of it goes, without a word to the browser.
    func passOn() {
        guard case .head = self.phase, let context = self.timeoutContext else { return }
        self.end(context)
    }

    // MARK: Short answers

    /// Answers and closes. Every answer closes: the socket may have been handed over for this one request, and the next
    /// one may be for the application.
    private func refuse(_ answer: Answer, _ context: ChannelHandlerContext) {
        self.phase = .answered
        self.shard.handshakes.set(self, after: 5)
        context.writeAndFlush(self.wrapOutboundOut(answer.bytes(to: self.method)), promise: nil)
        // Our side first: closing both at once while the browser still sends would destroy the answer on its way.
        context.close(mode: .output, promise: nil)
    }

    private func end(_ context: ChannelHandlerContext) {
        self.shard.handshakes.remove(self)
        if case .session(let session) = self.phase { session.connectionEnded() }
        self.phase = .ended
        context.close(promise: nil)
    }
}
