import HTTP1
package import NIOCore
import Sockets

/// One HTTP/1.1 connection to an upstream: bytes to `UpstreamExchange` calls, one exchange after another.
///
/// Used on its event loop only. Reading obeys `holdReads`, so that whoever cannot pass bytes on stops the upstream.
package final class UpstreamConnection: ChannelDuplexHandler, Watched {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private enum Phase {
        /// In the pool: nothing may come.
        case idle
        case head, body, tunnel, closed
    }

    /// Interim answers to one request; more are a fault of the upstream.
    private static let interimLimit = 16

    private let pool: UpstreamPool
    let lane: UpstreamLane
    private let configuration: UpstreamConfiguration
    private var context: ChannelHandlerContext?
    /// While the channel is active.
    private var writer: SocketWriter?
    private var phase = Phase.idle
    private var exchange: (any UpstreamExchange)?
    private var inbound = ByteBuffer()
    private var parser: ResponseHeadParser
    private var decoder = BodyDecoder(framing: .none, limit: nil)
    private let speaksFastCGI: Bool
    /// For an upstream that speaks FastCGI, from a request's start on; `nil` for all others.
    private var fastCGI: FastCGIAnswer?
    private var method = ""
    private var requestIsComplete = false
    private var answerKeepsAlive = false
    private var answerHasBegun = false
    private var interims = 0
    private var uses = 0
    private var readsAreHeld = false
    private var readIsWanted = false
    private var deliveredInBatch = false
    /// Whether this exchange is among the upstream's outstanding ones.
    private var isCounted = false

    package private(set) var deadline = NIODeadline.distantFuture
    package var watchIndex = -1

    init(pool: UpstreamPool, lane: UpstreamLane, configuration: UpstreamConfiguration) {
        self.pool = pool
        self.lane = lane
        self.configuration = configuration
        self.speaksFastCGI = pool.speaksFastCGI
        self.parser = ResponseHeadParser(limits: configuration.headLimits)
    }

    package var address: UpstreamAddress { self.lane.server.address }

    // MARK: For the exchange

    /// Whether more may be written now; `upstreamWritable` tells when that changes.
    package var isWritable: Bool { self.context?.channel.isWritable ?? false }

    /// Sends the request's head, with as much of its body as is at hand, and flushes.
    ///
    /// - Parameters:
    ///   - bytes: the head, and maybe body bytes in the request's own framing; for FastCGI, records.
    ///   - method: the request's; what is a body in the answer depends on it.
    ///   - isComplete: nothing will follow.
    package func start(_ bytes: ByteBuffer, method: String, isComplete: Bool) {
        guard self.phase == .idle, self.exchange != nil, let writer = self.writer else { return }
        self.phase = .head
        self.method = method
        self.requestIsComplete = isComplete
        if self.speaksFastCGI {
            self.fastCGI = FastCGIAnswer(method: method, limits: self.configuration.headLimits)
        }
        self.setDeadlineForAnswer()
        writer.send(bytes)
    }

    /// Sends more of the request's body, or bytes of the tunnel. Flushed by `flush`.
    package func write(_ bytes: ByteBuffer) {
        self.writer?.write(bytes)
    }

    package func flush() {
        self.writer?.flush()
    }

    /// The whole request has been written: from now on the upstream's time runs.
    package func requestIsDone() {
        self.requestIsComplete = true
        self.setDeadlineForAnswer()
    }

    /// Reads no more until `releaseReads`: the answer cannot be passed on for now.
    package func holdReads() {
        guard !self.readsAreHeld else { return }
        self.readsAreHeld = true
        self.deadline = .distantFuture
    }

    package func releaseReads() {
        guard self.readsAreHeld else { return }
        self.readsAreHeld = false
        if self.phase == .body { self.deadline = self.pool.watch.deadline(in: self.configuration.idleTime) }
        if self.readIsWanted {
            self.readIsWanted = false
            self.context?.read()
        }
    }

    /// Ends the exchange from this side: the connection cannot be used again. No further call comes.
    package func abandon() {
        self.exchange = nil
        self.settle()
        self.close()
    }

    /// In a tunnel: nothing more is sent; the other direction goes on.
    package func endOutput() {
        self.writer?.flush()
        self.context?.close(mode: .output, promise: nil)
    }

    /// In a tunnel whose other direction has ended: what was written is still sent, and then the connection ends. No
    /// further call comes.
    package func endTunnel() {
        self.exchange = nil
        self.settle()
        guard self.phase != .closed else { return }
        self.phase = .closed
        self.writer?.flush()
        self.context?.closeAfterFlush()
    }

    // MARK: For the pool

    /// Gives the connection to `exchange`; `false` when it is no longer alive.
    func begin(_ exchange: any UpstreamExchange) -> Bool {
        guard self.phase == .idle, let context = self.context else { return false }
        // A new connection is given away before its handler hears that it is active.
        if self.writer == nil, context.channel.isActive { self.opened(context) }
        guard self.writer != nil else { return false }
        self.exchange = exchange
        self.isCounted = true
        self.lane.server.began()
        self.answerHasBegun = false
        self.answerKeepsAlive = false
        self.interims = 0
        self.uses &+= 1
        self.deadline = .distantFuture
        return true
    }

    func rest() {
        self.deadline = self.pool.watch.deadline(in: self.configuration.keepAliveTime)
    }

    func close() {
        guard self.phase != .closed else { return }
        self.phase = .closed
        self.deadline = .distantFuture
        self.context?.close(promise: nil)
    }

    // MARK: Events

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { self.opened(context) }
    }

    package func channelActive(context: ChannelHandlerContext) {
        self.opened(context)
    }

    private func opened(_ context: ChannelHandlerContext) {
        guard self.writer == nil else { return }
        let isPlain = if case .tls = self.lane.server.address { false } else { true }
        self.writer = SocketWriter(context, isPlain: isPlain)
        self.pool.watch.add(self)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        if self.inbound.readableBytes == 0 {
            self.inbound = bytes
        } else {
            self.inbound.writeBuffer(&bytes)
        }
        if self.phase == .body || self.phase == .head, self.answerHasBegun || self.requestIsComplete {
            self.deadline = self.pool.watch.deadline(in: self.configuration.idleTime)
        }
        self.process()
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        guard self.deliveredInBatch else { return }
        self.deliveredInBatch = false
        self.exchange?.upstreamReadComplete()
    }

    package func read(context: ChannelHandlerContext) {
        if self.readsAreHeld { self.readIsWanted = true } else { context.read() }
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        let isWritable = context.channel.isWritable
        if !self.requestIsComplete, self.phase == .head || self.phase == .body {
            // While a request is being sent, only a standstill counts against the upstream.
            self.deadline =
                isWritable ? .distantFuture : self.pool.watch.deadline(in: self.configuration.idleTime)
        }
        self.exchange?.upstreamWritable(isWritable)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        self.inputEnded("the connection ended")
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.inputEnded("\(error)")
        self.close()
    }

    package func channelInactive(context: ChannelHandlerContext) {
        self.inputEnded("the connection ended")
        self.fail(.closedInAnswer, "the connection ended")
        self.phase = .closed
        self.context = nil
        self.writer?.end()
        self.writer = nil
        self.pool.watch.remove(self)
        self.pool.closed(self)
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    package func deadlinePassed() {
        switch self.phase {
        case .idle: self.close()
        case .head, .body:
            let what = self.answerHasBegun ? "the answer stopped coming" : "no answer came in time"
            self.fail(.timedOut, what)
        case .tunnel, .closed: self.deadline = .distantFuture
        }
    }

    // MARK: The answer

    private func process() {
        do throws(HTTP1Error) {
            while try self.processOne() {}
        } catch {
            self.fail(.badAnswer, error.message)
        }
    }

    /// One step; `false` when more bytes are needed or nothing more is to be done.
    private func processOne() throws(HTTP1Error) -> Bool {
        switch self.phase {
        case .idle:
            // Nobody asked: an upstream that says 408 before it closes, or one that is out of step. Never an answer.
            if self.inbound.readableBytes > 0 { self.failOrClose() }
            return false
        case .head where self.speaksFastCGI, .body where self.speaksFastCGI: return try self.processRecord()
        case .head:
            guard self.inbound.readableBytes > 0 else { return false }
            self.answerHasBegun = true
            guard let head = try self.parser.parse(&self.inbound) else { return false }
            try self.received(head)
            return true
        case .body:
            guard let part = try self.decoder.next(&self.inbound) else { return false }
            self.received(part)
            return true
        case .tunnel:
            guard self.inbound.readableBytes > 0 else { return false }
            let bytes = self.inbound
            self.inbound = ByteBuffer()
            self.deliveredInBatch = true
            self.exchange?.upstreamBody(bytes)
            return true
        case .closed: return false
        }
    }

    /// One step of an answer in FastCGI.
    private func processRecord() throws(HTTP1Error) -> Bool {
        guard let part = try self.fastCGI?.next(&self.inbound) else { return false }
        switch part {
        case .head(let head, let framing):
            self.deliveredInBatch = true
            self.answerHasBegun = true
            self.answerKeepsAlive = self.configuration.fastCGI.keepsConnections
            self.lane.server.answered()
            self.phase = .body
            self.exchange?.upstreamHead(head, framing: framing)
        case .body(let bytes):
            self.deliveredInBatch = true
            self.exchange?.upstreamBody(bytes)
        case .error(let bytes): self.lane.server.said(bytes)
        case .end(let end):
            self.deliveredInBatch = true
            switch end.outcome {
            case 0: self.answerEnded(HeaderFields())
            case 2: self.fail(.overloaded, "the application says that it is overloaded")
            default: self.fail(.badAnswer, "the application takes no such request (\(end.outcome))")
            }
        }
        return true
    }

    private func received(_ head: ResponseHead) throws(HTTP1Error) {
        self.deliveredInBatch = true
        let framing = try head.framing(requestMethod: self.method)
        switch head.status {
        case 101:
            self.phase = .tunnel
            self.deadline = .distantFuture
        case 100..<200:
            self.interims += 1
            guard self.interims <= Self.interimLimit else {
                self.fail(.badAnswer, "more than \(Self.interimLimit) interim answers")
                return
            }
        default:
            self.lane.server.answered()
            self.answerKeepsAlive = head.keepAlive
            if case .untilClose = framing { self.answerKeepsAlive = false }
            self.decoder = BodyDecoder(framing: framing, limit: nil)
            self.phase = .body
        }
        self.exchange?.upstreamHead(head, framing: framing)
    }

    private func received(_ part: BodyPart) {
        self.deliveredInBatch = true
        switch part {
        case .bytes(let bytes): self.exchange?.upstreamBody(bytes)
        case .end(let trailers): self.answerEnded(trailers)
        }
    }

    private func answerEnded(_ trailers: HeaderFields) {
        guard let exchange = self.exchange else { return }
        self.exchange = nil
        self.settle()
        // First back to the pool, so that the next request of the same browser can have it.
        if self.answerKeepsAlive, self.requestIsComplete, self.inbound.readableBytes == 0,
            !self.speaksFastCGI || self.fastCGI?.isBetweenRecords == true
        {
            self.phase = .idle
            self.releaseReads()
            self.pool.keep(self)
        } else {
            self.close()
        }
        exchange.upstreamEnd(trailers: trailers)
    }

    // MARK: Ends

    private func inputEnded(_ why: String) {
        switch self.phase {
        case .idle: self.failOrClose()
        case .head:
            if self.answerHasBegun {
                self.fail(.closedInAnswer, "\(why) in the answer's head")
            } else {
                self.fail(.closedBeforeAnswer, "\(why) before an answer")
            }
        case .body where self.speaksFastCGI: self.fail(.closedInAnswer, "\(why) in the answer's body")
        case .body:
            do throws(HTTP1Error) {
                guard let part = try self.decoder.finish() else {
                    self.fail(.closedInAnswer, "\(why) in the answer's body")
                    return
                }
                self.received(part)
            } catch {
                self.fail(.closedInAnswer, "\(why) in the answer's body")
            }
        case .tunnel: self.exchange?.upstreamTunnelEnded()
        case .closed: break
        }
    }

    /// Ended while nobody had sent anything: whoever was just given the connection learns that it was stale.
    private func failOrClose() {
        if self.exchange != nil { self.fail(.closedBeforeAnswer, "the connection ended") } else { self.close() }
    }

    private func setDeadlineForAnswer() {
        guard self.requestIsComplete, self.phase == .head || self.phase == .body else { return }
        let limit = self.answerHasBegun ? self.configuration.idleTime : self.configuration.firstByteTime
        self.deadline = self.pool.watch.deadline(in: limit)
    }

    private func fail(_ code: UpstreamError.Code, _ what: String) {
        let exchange = self.exchange
        self.exchange = nil
        self.settle()
        let reused = self.uses > 1
        if exchange != nil, Self.speaksAgainstServer(code, reused: reused) { self.lane.server.failed(what) }
        self.close()
        exchange?.upstreamFailed(
            UpstreamError(
                code, "\(self.address): \(what)", onReusedConnection: reused, upstream: self.lane.number))
    }

    private func settle() {
        guard self.isCounted else { return }
        self.isCounted = false
        self.lane.server.ended()
    }

    /// An old connection that was closed proves nothing, nor does an answer cut short.
    private static func speaksAgainstServer(_ code: UpstreamError.Code, reused: Bool) -> Bool {
        switch code {
        case .closedBeforeAnswer: !reused
        case .timedOut, .badAnswer: true
        default: false
        }
    }

    /// The client is shut down.
    func cancel() {
        if self.exchange == nil { self.close() } else { self.fail(.cancelled, "shut down") }
    }
}
