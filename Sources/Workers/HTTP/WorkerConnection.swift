import HTTP1
import Logging
import NIOCore
import Telemetry

/// Exchanges are the same when they are one object.
private func ~= (pattern: Exchange, value: Exchange) -> Bool { pattern === value }

/// One visitor's (in practice: one proxy's) connection: bytes in, requests to the pool, answers out in order.
///
/// One request at a time: what is pipelined behind it waits unread. Nothing is decided here that has a value of its
/// own: `RequestAssembler` finds the requests, `AnswerPlan` frames the answers, the pool says whether there is room.
final class WorkerConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase {
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

    /// Bytes of an answer written at a time. The time limit for a stopped reader counts from piece to piece.
    private static let pieceBytes = 262_144

    private let server: ServerContext
    private var context: ChannelHandlerContext?
    private var phase = Phase.receiving
    private var assembler: RequestAssembler
    private var input = ByteBuffer()
    private var timer = ConnectionTimer()
    private var isAdvancing = false
    /// Of a streamed answer whose length was told: what has not been written yet.
    private var missingBytes = 0

    init(_ server: ServerContext) {
        self.server = server
        let configuration = server.configuration
        self.assembler = RequestAssembler(
            headLimits: configuration.headLimits, bodyLimit: configuration.bodyLimit)
    }

    // MARK: socket events

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
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
        switch self.phase {
        case .receiving: self.advance()
        case .lingering: context.read()
        case .answering, .streaming, .sending, .closed: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.timer.cancel()
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
    private func advance() {
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
                self.context?.writeAndFlush(
                    self.wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
            case .complete(let head, let body):
                self.begin(head, body)
            case .refuse(let status, let message):
                self.server.metrics.malformed.increment()
                self.refuse(status, message)
            }
        }
    }

    private func waitForBytes() {
        guard let context = self.context else { return }
        let limits = self.server.configuration
        switch self.assembler.stage {
        case .nothing where self.server.isDraining:
            self.cut()
            return
        case .nothing:
            self.input = ByteBuffer()  // an idle connection holds no memory
            self.timer.set(.idle, in: limits.idleTimeout, on: context.eventLoop, expired: self.timedOut)
        case .head:
            // From the first byte to the last: one byte a second must not keep it open.
            self.timer.setUnlessRunning(.head, in: limits.headTimeout, on: context.eventLoop, expired: self.timedOut)
        case .body:
            self.timer.setUnlessRunning(.body, in: limits.bodyTimeout, on: context.eventLoop, expired: self.timedOut)
        }
        context.read()
    }

    private func begin(_ head: RequestHead, _ body: ByteBuffer) {
        guard let context = self.context else { return }
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
            clientAddress: self.visitor(context, head.fields))
        let exchange = Exchange(
            request, terms: AnswerTerms(head), application: self.server.application, connection: self,
            loop: context.eventLoop, writeTimeout: self.server.configuration.writeTimeout)
        self.phase = .answering(exchange)
        switch self.server.pool.submit(exchange) {
        case .accepted:
            break
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

    private func visitor(_ context: ChannelHandlerContext, _ fields: HeaderFields) -> String? {
        // A Unix socket's peer has no name, but its own end has.
        let peer: Peer =
            if case .unixDomainSocket? = context.localAddress { .unix } else { Peer(context.remoteAddress) }
        let client = ClientAddress(
            peer: peer, forwardedFor: fields.values("X-Forwarded-For"), realIP: fields["X-Real-IP"],
            trusted: self.server.trustedProxies)
        return client.address?.description
    }

    /// Answers a request that is none, and closes.
    private func refuse(_ status: Int, _ message: String) {
        self.server.logger.debug("Request refused", metadata: [LogKey.status: "\(status)", LogKey.error: "\(message)"])
        self.timer.cancel()
        self.send(
            ErrorPage.response(status, message), to: AnswerTerms(isHead: false, version: .http11, keepAlive: false))
    }

    // MARK: answers, called on the loop; what comes for another than the present exchange is too late

    func answer(_ response: WorkerResponse, to exchange: Exchange) {
        guard case .answering(exchange) = self.phase else { return }
        if case .stream = response.body, !exchange.terms.isHead {
            self.startStream(response, exchange)
        } else {
            self.send(response, to: exchange.terms)
        }
    }

    /// One piece of a streamed body. `completion` is called once, on the loop.
    func write(
        _ piece: ByteBuffer, of exchange: Exchange, completion: @escaping @Sendable (StreamWriter.Outcome) -> Void
    ) {
        guard case .streaming(exchange, let plan) = self.phase, let context = self.context else {
            return completion(.refused(self.reasonGone(exchange)))
        }
        var bytes = piece
        switch plan.framing {
        case .none:
            return completion(.written)  // a 204 or 304: the application writes what nobody may see
        case .counted:
            guard piece.readableBytes <= self.missingBytes else {
                let error = WorkerError(.invalidResponse, "More was written than the length the answer promised.")
                return completion(.refused(error))
            }
            self.missingBytes -= piece.readableBytes
        case .chunked:
            bytes = context.channel.allocator.buffer(capacity: piece.readableBytes + 20)
            bytes.writeChunk(piece)
        case .bytes, .untilClose:
            break
        }
        context.writeAndFlush(self.wrapOutboundOut(bytes)).whenComplete { result in
            switch result {
            case .success: completion(.written)
            case .failure:
                completion(.refused(WorkerError(.disconnected, "The visitor closed the connection.")))
            }
        }
    }

    func endStream(of exchange: Exchange) {
        guard case .streaming(exchange, let plan) = self.phase else { return }
        guard self.missingBytes == 0 else {
            return self.failed(
                WorkerError(.invalidResponse, "\(self.missingBytes) bytes fewer were written than promised."),
                in: exchange)
        }
        var bytes = ByteBuffer()
        if plan.framing == .chunked { bytes.writeLastChunk(trailers: HeaderFields()) }
        self.phase = .sending
        self.sendPieces(bytes, keepAlive: plan.keepAlive)
    }

    /// The application threw.
    func failed(_ error: any Error, in exchange: Exchange) {
        switch self.phase {
        case .answering(exchange):
            self.logFailure(error, exchange)
            self.send(
                ErrorPage.response(500, "Something went wrong while your request was answered."), to: exchange.terms)
        case .streaming(exchange, _):
            if (error as? WorkerError)?.code == .stalled { self.server.metrics.stalls.increment() }
            self.logFailure(error, exchange)
            // Without the last chunk, so that the reader knows that something is missing.
            self.cut()
        default:
            break
        }
    }

    /// It waited too long for a thread.
    func expired(_ exchange: Exchange) {
        guard case .answering(exchange) = self.phase else { return }
        self.server.metrics.rejected.increment()
        self.send(
            ErrorPage.response(503, "The server is busy. Try again in a moment.", retryAfter: 1), to: exchange.terms)
    }

    /// It is over its time.
    func overran(_ exchange: Exchange) {
        switch self.phase {
        case .answering(exchange):
            self.send(ErrorPage.response(504, "Your request took too long to answer."), to: exchange.terms)
        case .streaming(exchange, _):
            self.cut()
        default:
            break
        }
    }

    /// Ends after the present answer, or now when there is none.
    func drain() {
        if case .receiving = self.phase, case .nothing = self.assembler.stage, self.input.readableBytes == 0 {
            self.cut()
        }
    }

    /// Ends at once.
    func cut() { self.context?.close(promise: nil) }

    // MARK: sending

    private func startStream(_ response: WorkerResponse, _ exchange: Exchange) {
        guard let plan = self.plan(response, exchange.terms), let context = self.context else { return }
        var bytes = context.channel.allocator.buffer(capacity: 512)
        bytes.writeResponseHead(plan.head)
        self.phase = .streaming(exchange, plan)
        self.missingBytes = if case .counted(let length) = plan.framing { length } else { 0 }
        context.writeAndFlush(self.wrapOutboundOut(bytes), promise: nil)
    }

    private func send(_ response: WorkerResponse, to terms: AnswerTerms) {
        guard let plan = self.plan(response, terms), let context = self.context else { return }
        var bytes: ByteBuffer
        if case .bytes(var body) = plan.framing {
            bytes = context.channel.allocator.buffer(capacity: 512 + body.readableBytes)
            bytes.writeResponseHead(plan.head)
            bytes.writeBuffer(&body)
        } else {
            bytes = context.channel.allocator.buffer(capacity: 512)
            bytes.writeResponseHead(plan.head)
        }
        self.phase = .sending
        self.sendPieces(bytes, keepAlive: plan.keepAlive)
    }

    /// The plan for an answer; when the application's cannot be sent, the plan for a 500 instead.
    private func plan(_ response: WorkerResponse, _ terms: AnswerTerms) -> AnswerPlan? {
        self.server.metrics.answered(response.status)
        do {
            return try AnswerPlan(response, to: terms, isLast: self.server.isDraining, date: HTTPDate.now())
        } catch {
            self.server.logger.error("The application's answer cannot be sent", metadata: [LogKey.error: "\(error)"])
            let page = ErrorPage.response(500, "Something went wrong while your request was answered.")
            return try? AnswerPlan(page, to: terms, isLast: true, date: HTTPDate.now())
        }
    }

    private func sendPieces(_ bytes: ByteBuffer, keepAlive: Bool) {
        guard let context = self.context else { return }
        var rest = bytes
        guard let piece = rest.readSlice(length: min(rest.readableBytes, Self.pieceBytes)), piece.readableBytes > 0
        else {
            return self.answered(keepAlive: keepAlive)
        }
        self.timer.set(
            .write, in: self.server.configuration.writeTimeout, on: context.eventLoop, expired: self.timedOut)
        let remaining = rest
        context.writeAndFlush(self.wrapOutboundOut(piece)).assumeIsolated().whenComplete { result in
            guard case .success = result else { return }  // closed: channelInactive follows
            self.sendPieces(remaining, keepAlive: keepAlive)
        }
    }

    private func answered(keepAlive: Bool) {
        self.timer.cancel()
        guard case .sending = self.phase else { return }
        guard keepAlive, !self.server.isDraining else { return self.close() }
        self.phase = .receiving
        self.advance()
    }

    // MARK: closing

    private func timedOut(_ kind: ConnectionTimer.Kind) {
        switch kind {
        case .head, .body:
            self.server.metrics.slowRequests.increment()
            self.refuse(408, "The request took too long to arrive.")
        case .write:
            self.server.metrics.stalls.increment()
            self.cut()
        case .idle, .linger: self.cut()
        }
    }

    /// Closes our side, and the rest when the other side has closed too or some time has passed.
    private func close() {
        guard let context = self.context else { return }
        self.phase = .lingering
        self.input.clear()
        self.timer.set(.linger, in: .seconds(2), on: context.eventLoop, expired: self.timedOut)
        context.close(mode: .output, promise: nil)
        context.read()
    }

    private func reasonGone(_ exchange: Exchange) -> WorkerError {
        if case .closed = self.phase { return WorkerError(.disconnected, "The visitor closed the connection.") }
        return WorkerError(.overdue, "The request was over its time limit and has been given up.")
    }

    private func logFailure(_ error: any Error, _ exchange: Exchange) {
        if let error = error as? WorkerError, error.code == .disconnected || error.code == .stalled {
            self.server.logger.debug(
                "Visitor left a streamed answer", metadata: ["request": "\(exchange)", LogKey.error: "\(error)"])
            return
        }
        self.server.logger.error(
            "The application failed", metadata: ["request": "\(exchange)", LogKey.error: "\(error)"])
    }
}
