import HTTP1
import Logging
import NIOCore
import Sockets
import Telemetry

/// One visitor's (in practice: one proxy's) connection: bytes in, requests to the pool, answers out in order.
///
/// One request at a time: what is pipelined behind it waits unread. Nothing is decided here that has a value of its
/// own: `RequestAssembler` finds the requests, `AnswerPlan` frames the answers, the pool says whether there is room.
final class WorkerConnection: ChannelInboundHandler, Watched {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase {
        /// Waiting for a request, or in the middle of one.
        case receiving
        /// A thread has the request, or it waits for one.
        case answering(Exchange)
        /// The head of a streamed answer was sent; its chunks come from a thread.
        case streaming(Exchange, AnswerPlan)
        /// The answer goes out.
        case sending
        /// Our side is closed; what still comes is thrown away, lest a reset destroys the answer on its way.
        case lingering
        case closed
    }

    let server: ServerContext
    let shard: WorkerShard
    var context: ChannelHandlerContext?
    /// While the channel is active.
    private(set) var writer: SocketWriter?
    var phase = Phase.receiving
    private var assembler: RequestAssembler
    private var input = ByteBuffer()
    private var timer = ConnectionTimer()
    var watchIndex = -1
    /// The channel has been asked to read and has read nothing since.
    private var isReading = false
    /// Who is at the other end; `nil` until somebody asks.
    private var peer: Peer?
    /// The visitor's address when no proxy says otherwise.
    private var peerAddress: String?
    private var isAdvancing = false
    /// How long a server that stops waits for a request on a quiet connection: the visitor cannot know that it stops, and
    /// what was sent on a connection that is closed meanwhile is not always safe to send again.
    private static let lastMoment = TimeAmount.seconds(2)
    /// How long a connection whose answer was the last is still read.
    static let lingerTime = TimeAmount.seconds(2)
    /// Bytes that are read ahead while an answer is being made. To stop reading for each request would cost two system calls.
    private static let readAhead = 65_536
    /// Of a streamed answer whose length was told: what has not been written yet.
    var missingBytes = 0

    init(_ server: ServerContext, shard: WorkerShard) {
        self.server = server
        self.shard = shard
        let configuration = server.configuration
        self.assembler = RequestAssembler(
            headLimits: configuration.headLimits, bodyLimit: configuration.bodyLimit)
    }

    // MARK: socket events

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        self.writer = SocketWriter(context, isPlain: true)
        self.shard.watch.add(self)
        self.server.metrics.connections.increment()
        if self.server.connections.add(self, on: context.eventLoop, limit: self.server.configuration.connections) {
            self.waitForBytes()
        } else {
            self.server.metrics.refusedConnections.increment()
            self.refuse(503, "Too many connections are open. Try again in a moment.")
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.isReading = false
        if case .lingering = self.phase { return }
        var bytes = self.unwrapInboundIn(data)
        if self.input.readableBytes == 0 {
            self.input = bytes
        } else {
            self.input.discardReadBytes()  // a connection that is never quite empty must not grow
            self.input.writeBuffer(&bytes)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if case .receiving = self.phase { self.advance() }
        self.readOn()
    }

    /// Asks for more bytes, unless as many are here as may wait.
    private func readOn() {
        guard !self.isReading, let context = self.context else { return }
        switch self.phase {
        case .answering, .streaming, .sending: guard self.input.readableBytes < Self.readAhead else { return }
        case .receiving, .lingering: break
        case .closed: return
        }
        self.isReading = true
        context.read()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.timer.cancel()
        self.writer?.end()
        self.writer = nil
        self.shard.watch.remove(self)
        switch self.phase {
        case .answering(let exchange), .streaming(let exchange, _):
            exchange.cancel()
            self.server.metrics.disconnects.increment()
        case .receiving, .sending, .lingering, .closed: break
        }
        self.phase = .closed
        self.context = nil
        self.server.connections.remove(ObjectIdentifier(self))
        self.server.metrics.connections.decrement()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.server.logger.debug("Connection failed", metadata: [LogKey.error: "\(error)"])
        context.close(promise: nil)
    }

    // MARK: requests

    /// Takes requests off the input until one is being answered or more bytes are needed.
    func advance() {
        // An answer that is on the wire at once calls this again from below: the loop goes on instead of the stack.
        guard !self.isAdvancing else { return }
        self.isAdvancing = true
        defer { self.isAdvancing = false }
        while case .receiving = self.phase {
            switch self.assembler.next(&self.input) {
            case .needsBytes:
                self.waitForBytes()
                return
            case .sendContinue:
                self.writer?.send(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n"))
            case .complete(let head, let body):
                self.begin(head, body)
            case .refuse(let status, let message):
                self.server.metrics.malformed.increment()
                self.refuse(status, message)
            }
        }
    }

    private func waitForBytes() {
        let limits = self.server.configuration
        switch self.assembler.stage {
        case .nothing:
            self.input = ByteBuffer()  // an idle connection holds no memory
            let time = self.server.isDraining ? min(limits.idleTimeout, Self.lastMoment) : limits.idleTimeout
            self.limit(.idle, time)
        case .head:
            // From the first byte to the last: one byte a second must not keep it open.
            if self.timer.kind != .head { self.limit(.head, limits.headTimeout) }
        case .body:
            if self.timer.kind != .body { self.limit(.body, limits.bodyTimeout) }
        }
        self.readOn()
    }

    private func begin(_ head: RequestHead, _ body: ByteBuffer) {
        self.timer.cancel()
        let path: String
        do {
            path = try head.decodedPath()
        } catch {
            return self.refuse(error.status, error.message)
        }
        guard path.first == "/" else {
            return self.refuse(400, "The request target is no path.")
        }
        let request = WorkerRequest(
            method: head.method, path: path, query: head.query, fields: head.fields, body: body,
            clientAddress: self.visitor(head.fields))
        let exchange = Exchange(
            request, terms: AnswerTerms(head), application: self.server.application, connection: self,
            shard: self.shard, writeTimeout: self.server.configuration.writeTimeout)
        self.phase = .answering(exchange)
        self.shard.submit(exchange)
    }

    /// What became of a request that was to be handed to a thread.
    func admitted(_ admission: WorkerPool.State.Admission, _ exchange: Exchange) {
        switch admission {
        case .accepted:
            self.server.countRequest()
        case .full:
            self.server.metrics.rejected.increment()
            self.server.boundedLog.log(
                .warning, "All threads are busy and the queue is full: a request was answered 503")
            self.answer(
                ErrorPage.response(503, "The server is busy. Try again in a moment.", retryAfter: 1), to: exchange)
        case .stopping:
            self.answer(ErrorPage.response(503, "The server is being restarted.", retryAfter: 1), to: exchange)
        }
    }

    private func visitor(_ fields: HeaderFields) -> String? {
        let peer = self.peer ?? self.lookAtPeer()
        guard !fields.hasNone(of: [.xForwardedFor, .xRealIP]) else { return self.peerAddress }
        return ClientAddress(
            peer: peer, forwardedFor: fields.values("X-Forwarded-For"), realIP: fields["X-Real-IP"],
            trusted: self.server.trustedProxies
        ).address?.description
    }

    private func lookAtPeer() -> Peer {
        let peer = Peer(local: self.context?.localAddress, remote: self.context?.remoteAddress)
        self.peer = peer
        self.peerAddress =
            ClientAddress(peer: peer, forwardedFor: [], realIP: nil, trusted: self.server.trustedProxies)
            .address?.description
        return peer
    }

    /// Answers a request that is none, and closes.
    private func refuse(_ status: Int, _ message: String) {
        self.server.logger.debug("Request refused", metadata: [LogKey.status: "\(status)", LogKey.error: "\(message)"])
        self.timer.cancel()
        self.send(
            ErrorPage.response(status, message), to: AnswerTerms(isHead: false, version: .http11, keepAlive: false))
    }

    // MARK: closing

    /// Ends after the present answer, or a moment later when there is none and none is asked for.
    func drain() {
        if case .receiving = self.phase, case .nothing = self.assembler.stage, self.input.readableBytes == 0 {
            self.waitForBytes()
        }
    }

    /// Ends at once.
    func cut() { self.context?.close(promise: nil) }

    var deadline: NIODeadline { self.timer.deadline }

    func limit(_ kind: ConnectionTimer.Kind, _ time: TimeAmount) {
        self.timer.set(kind, until: self.shard.watch.deadline(in: time))
    }

    func endLimit() { self.timer.cancel() }

    func deadlinePassed() {
        let kind = self.timer.kind
        self.timer.cancel()
        switch kind {
        case .head, .body:
            self.server.metrics.slowRequests.increment()
            self.refuse(408, "The request took too long to arrive.")
        case .write:
            self.server.metrics.stalls.increment()
            self.cut()
        case .idle, .linger: self.cut()
        case nil: break
        }
    }

    /// Closes our side, and the rest when the other side has closed too or some time has passed.
    func close() {
        guard let context = self.context else { return }
        self.phase = .lingering
        self.input.clear()
        self.limit(.linger, Self.lingerTime)
        context.close(mode: .output, promise: nil)
        self.readOn()
    }
}
