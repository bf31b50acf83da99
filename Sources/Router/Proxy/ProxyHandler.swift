import HTTP1
import Logging
import NIOCore
import Sockets
import Telemetry
import Upstream

/// A browser's connection: requests are read one after another and passed on, each answer goes back as it comes.
///
/// The only handler of its channel, on bytes. This file has what comes from the browser, `ProxyHandler+Answer` what comes
/// from the upstream, `ProxyHandler+End` how requests and connections end. Nothing is kept but what is under way: while the
/// upstream takes no bytes the browser is not read, and the other way round.
final class ProxyHandler: ChannelDuplexHandler, ShardConnection {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase {
        /// Between requests, or in a request's head.
        case head
        case exchange, tunnel
        /// Our last byte is sent; what the browser still sends is thrown away until it sees that.
        case lingering
        case closed
    }

    /// A request's bytes that may wait for a connection to the upstream.
    static let waitingBytes = 65_536
    /// Smaller pieces are joined to one write, larger ones are passed on without being copied.
    static let joinedBytes = 16_384
    /// What a connection that is being closed may still send.
    static let lingerBytes = 1 << 20

    let shard: ProxyShard
    let identity: BrowserIdentity
    var context: ChannelHandlerContext?
    /// While the channel is active.
    var writer: SocketWriter?
    var phase = Phase.head
    var exchange: ProxyExchange?
    /// What came and has not been dealt with.
    var inbound = ByteBuffer()
    /// What goes to the browser with the next flush.
    var outbound = ByteBuffer()
    private var parser: RequestHeadParser
    /// A byte of the next head has come, so that its time runs.
    var headHasBegun: Bool
    var inputEnded = false
    var isWritable = true
    private var readIsWanted = false
    private var isAdvancing = false
    private var lingered = 0
    /// The tunnel's upstream sends no more.
    var tunnelEnded = false

    var deadline: NIODeadline
    var watchIndex = -1

    /// - Parameter deadline: of the first request's head, counted from when the connection was accepted.
    init(shard: ProxyShard, peer: Peer, transport: Transport = Transport(), deadline: NIODeadline) {
        self.shard = shard
        self.identity = BrowserIdentity(
            peer: peer, trustedProxies: shard.configuration.trustedProxies, transport: transport)
        self.parser = RequestHeadParser(limits: shard.configuration.headLimits)
        self.deadline = deadline
        self.headHasBegun = true
    }

    // MARK: Events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // After a handshake, and on a stream, the channel is long active.
        if context.channel.isActive { self.opened(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        self.opened(context)
    }

    private func opened(_ context: ChannelHandlerContext) {
        guard self.writer == nil else { return }
        let transport = self.identity.transport
        self.writer = SocketWriter(context, isPlain: !transport.isSecure && !transport.isHTTP2)
        self.shard.opened(self)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        if self.inbound.readableBytes == 0 {
            self.inbound = bytes
        } else {
            self.inbound.writeBuffer(&bytes)
        }
        self.advance()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.exchange?.connection?.flush()
    }

    func read(context: ChannelHandlerContext) {
        if self.holdsReads { self.readIsWanted = true } else { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.isWritable = context.channel.isWritable
        self.setDeadline()
        if self.isWritable {
            self.exchange?.connection?.releaseReads()
            self.sendFile()
        } else {
            self.exchange?.connection?.holdReads()
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        self.inputEnded = true
        switch self.phase {
        case .head, .lingering: self.close()
        case .exchange:
            // The request is complete: it is answered, and then the connection ends. Otherwise it never will be.
            if self.exchange?.requestIsComplete != true { self.abort() }
        case .tunnel:
            if self.tunnelEnded { self.endTunnel() } else { self.exchange?.connection?.endOutput() }
        case .closed: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.abort()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.abort()
        self.context = nil
        self.writer?.end()
        self.writer = nil
        self.shard.closed(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func deadlinePassed() {
        self.deadline = .distantFuture
        switch self.phase {
        case .head:
            if self.inbound.readableBytes > 0 {
                self.refuse(408, "too_slow", "The request's head did not come in time.")
            } else {
                self.close()
            }
        case .exchange where self.isWritable && self.exchange?.answer == nil:
            self.exchange?.giveUpUpstream()
            self.shard.metrics.aborted.increment()
            self.refuse(408, "too_slow", "The request's body did not come in time.")
        case .exchange: self.abort()
        case .tunnel, .lingering, .closed: self.close()
        }
    }

    // MARK: Reading under back-pressure

    /// Whether the browser must wait: what it has sent cannot be passed on yet.
    private var holdsReads: Bool {
        switch self.phase {
        case .head, .lingering, .closed: return false
        case .tunnel: return self.exchange?.connection?.isWritable == false
        case .exchange:
            guard let exchange = self.exchange else { return false }
            // A pipelined request waits for its turn.
            if exchange.requestIsComplete { return self.inbound.readableBytes > 0 }
            guard let connection = exchange.connection else { return self.inbound.readableBytes >= Self.waitingBytes }
            return !connection.isWritable
        }
    }

    func resumeReads() {
        guard self.readIsWanted, !self.holdsReads else { return }
        self.readIsWanted = false
        self.context?.read()
    }

    /// Which limit holds now. Called when the phase changes, and when bytes move.
    func setDeadline() {
        // Asked of the shard each time: a copy of its configuration costs a reference for each part of it.
        let shard = self.shard
        let watch = shard.watch
        switch self.phase {
        case .head:
            if !self.isWritable {
                self.deadline = watch.deadline(in: shard.configuration.sendIdleTime)
            } else if !self.headHasBegun {
                self.deadline = watch.deadline(in: shard.quietTime)
            }
        case .exchange:
            if !self.isWritable {
                self.deadline = watch.deadline(in: shard.configuration.sendIdleTime)
            } else if self.exchange?.requestIsComplete == false, !self.holdsReads {
                self.deadline = watch.deadline(in: shard.configuration.bodyIdleTime)
            } else {
                // The upstream's time limits hold.
                self.deadline = .distantFuture
            }
        case .tunnel: self.deadline = watch.deadline(in: shard.configuration.tunnelIdleTime)
        case .lingering: self.deadline = watch.deadline(in: shard.configuration.lingerTime)
        case .closed: self.deadline = .distantFuture
        }
    }

    // MARK: The request

    /// Deals with what has come as far as that is possible now.
    ///
    /// A request that is answered at once makes room for the next one within this call: a loop, not a recursion, so that
    /// no number of pipelined requests fills the stack.
    func advance() {
        guard !self.isAdvancing else { return }
        self.isAdvancing = true
        defer { self.isAdvancing = false }
        repeat { self.advanceOnce() } while self.phase == .head && self.readHead()
    }

    private func advanceOnce() {
        switch self.phase {
        case .head: break
        case .exchange: self.passOnBody()
        case .tunnel: self.passOnTunnel()
        case .lingering:
            self.lingered += self.inbound.readableBytes
            self.inbound = ByteBuffer()
            if self.lingered > Self.lingerBytes { self.close() }
        case .closed: self.inbound = ByteBuffer()
        }
    }

    /// - Returns: whether there was a whole head.
    private func readHead() -> Bool {
        guard self.inbound.readableBytes > 0 else { return false }
        if !self.headHasBegun {
            self.headHasBegun = true
            self.deadline = self.shard.watch.deadline(in: self.shard.configuration.headTime)
        }
        do throws(HTTP1Error) {
            guard let head = try self.parser.parse(&self.inbound) else { return false }
            self.begin(head)
            return true
        } catch {
            self.refuse(error.status, error.code.rawValue, error.message)
            return false
        }
    }

    private func begin(_ head: RequestHead) {
        let plan: RequestPlan
        do throws(RequestPlan.Refusal) {
            plan = try RequestPlan(head, routes: self.shard.routes)
        } catch {
            self.refuse(error.status, error.code, error.reason)
            return
        }
        let exchange = ProxyExchange(
            plan: plan, head: head, name: self.identity.requestID(head, made: self.shard.requestIDs.next()),
            began: self.shard.logsRequests ? .now() : nil,
            keepsAlive: plan.keepsAlive && !self.shard.isDraining)
        self.exchange = exchange
        self.phase = .exchange
        self.setDeadline()
        guard !self.answerHere(exchange), !self.prepareForFastCGI(exchange) else { return }
        self.acquire(fresh: false)
    }

    func acquire(fresh: Bool) {
        guard let exchange = self.exchange else { return }
        guard let pool = self.shard.pool(exchange.plan.route) else {
            self.upstreamFailed(UpstreamError(.unreachable, "no gateway answers HTTP here"))
            return
        }
        let ticket = pool.acquire(for: self, fresh: fresh, excluding: exchange.tried)
        // Without a place it has got its connection, or its end, in the meantime.
        if let ticket { self.exchange?.ticket = ticket }
    }

    /// Sends on what has come of the request's body.
    func passOnBody() {
        guard let exchange = self.exchange, !exchange.requestIsComplete else { return }
        if exchange.isCollecting { return self.collectBody(exchange) }
        guard let connection = exchange.connection else { return }
        guard let bytes = self.takeBody() else { return }
        if bytes.readableBytes > 0 { connection.write(bytes) }
        if exchange.requestIsComplete {
            connection.flush()
            connection.requestIsDone()
        }
        self.setDeadline()
    }

    /// What has come of the body, in the framing the upstream reads; `nil` when it is broken.
    func takeBody() -> ByteBuffer? {
        guard let exchange = self.exchange else { return nil }
        var bytes = ByteBuffer()
        do throws(HTTP1Error) {
            while let part = try exchange.body.next(&self.inbound) {
                switch part {
                case .bytes(let piece):
                    switch exchange.wire {
                    case .chunks: bytes.writeChunk(piece)
                    case .records: bytes.writeFastCGIInput(piece)
                    case .asIs where bytes.readableBytes == 0: bytes = piece
                    case .asIs: bytes.writeImmutableBuffer(piece)
                    }
                case .end(let trailers):
                    exchange.requestIsComplete = true
                    switch exchange.wire {
                    case .chunks: bytes.writeLastChunk(trailers: trailers)
                    case .records: bytes.writeFastCGIInputEnd()
                    case .asIs: break
                    }
                }
            }
            exchange.sent(bytes)
            return bytes
        } catch {
            exchange.giveUpUpstream()
            self.refuse(error.status, error.code.rawValue, error.message)
            return nil
        }
    }

    private func passOnTunnel() {
        guard self.inbound.readableBytes > 0, let connection = self.exchange?.connection else { return }
        let bytes = self.inbound
        self.inbound = ByteBuffer()
        connection.write(bytes)
        self.setDeadline()
    }
}
