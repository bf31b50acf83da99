import HTTP1
import Logging
import NIOCore
import Telemetry

/// One visitor's (in practice: one proxy's) connection: bytes in, requests to the pool, answers out in order.
///
/// One request at a time: what is pipelined behind it waits unread. Nothing is decided here that has a value of its
/// own: `RequestAssembler` finds the requests, `AnswerPlan` frames the answers, the pool says whether there is room.
final class WorkerConnection: ChannelInboundHandler {
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
    var context: ChannelHandlerContext?
    var phase = Phase.receiving
    private var assembler: RequestAssembler
    private var input = ByteBuffer()
    var timer = ConnectionTimer()
    private var isAdvancing = false
    /// How long a server that stops waits for a request on a quiet connection: the visitor cannot know that it stops, and
    /// what was sent on a connection that is closed meanwhile is not always safe to send again.
    private static let lastMoment = TimeAmount.seconds(2)
    /// Of a streamed answer whose length was told: what has not been written yet.
    var missingBytes = 0

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
        case .nothing:
            self.input = ByteBuffer()  // an idle connection holds no memory
            let time = self.server.isDraining ? min(limits.idleTimeout, Self.lastMoment) : limits.idleTimeout
            self.timer.set(.idle, in: time, on: context.eventLoop, expired: self.timedOut)
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

    private func visitor(_ context: ChannelHandlerContext, _ fields: HeaderFields) -> String? {
        let client = ClientAddress(
            peer: Peer(local: context.localAddress, remote: context.remoteAddress),
            forwardedFor: fields.values("X-Forwarded-For"), realIP: fields["X-Real-IP"],
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

    // MARK: closing

    /// Ends after the present answer, or a moment later when there is none and none is asked for.
    func drain() {
        if case .receiving = self.phase, case .nothing = self.assembler.stage, self.input.readableBytes == 0 {
            self.waitForBytes()
        }
    }

    /// Ends at once.
    func cut() { self.context?.close(promise: nil) }

    func timedOut(_ kind: ConnectionTimer.Kind) {
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
    func close() {
        guard let context = self.context else { return }
        self.phase = .lingering
        self.input.clear()
        self.timer.set(.linger, in: .seconds(2), on: context.eventLoop, expired: self.timedOut)
        context.close(mode: .output, promise: nil)
        context.read()
    }
}
