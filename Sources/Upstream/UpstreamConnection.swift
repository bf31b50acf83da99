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
        /// An answer is wanted, or comes.
        case answer
        case closed
    }

    private let pool: UpstreamPool
    let lane: UpstreamLane
    private let configuration: UpstreamConfiguration
    private var context: ChannelHandlerContext?
    /// While the channel is active.
    private var writer: SocketWriter?
    private var phase = Phase.idle
    private var exchange: (any UpstreamExchange)?
    private var inbound = ByteBuffer()
    private var answer: UpstreamAnswerReader
    private var requestIsComplete = false
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
        self.answer = UpstreamAnswerReader(speaksFastCGI: pool.speaksFastCGI, configuration: configuration)
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
        self.phase = .answer
        self.answer.begin(method: method)
        self.requestIsComplete = isComplete
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
        if self.phase == .answer, self.answer.stage == .body {
            self.deadline = self.pool.watch.deadline(in: self.configuration.idleTime)
        }
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
        if self.isWaiting, self.answer.hasBegun || self.requestIsComplete {
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
        if !self.requestIsComplete, self.isWaiting {
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
        case .answer where self.isWaiting:
            let what = self.answer.hasBegun ? "the answer stopped coming" : "no answer came in time"
            self.fail(.timedOut, what)
        case .answer, .closed: self.deadline = .distantFuture
        }
    }

    // MARK: The answer

    /// Whether an answer, or the rest of one, is to come; a tunnel has no such end.
    private var isWaiting: Bool { self.phase == .answer && self.answer.stage != .tunnel }

    private func process() {
        while self.phase == .answer, let part = self.answer.next(&self.inbound) { self.deliver(part) }
        // Nobody asked: an upstream that says 408 before it closes, or one that is out of step. Never an answer.
        if self.phase == .idle, self.inbound.readableBytes > 0 { self.failOrClose() }
    }

    private func deliver(_ part: UpstreamAnswerReader.Part) {
        switch part {
        case .head(let head, let framing):
            self.deliveredInBatch = true
            switch self.answer.stage {
            case .head: break
            case .body: self.lane.server.answered()
            case .tunnel: self.deadline = .distantFuture
            }
            self.exchange?.upstreamHead(head, framing: framing)
        case .body(let bytes):
            self.deliveredInBatch = true
            self.exchange?.upstreamBody(bytes)
        case .error(let bytes): self.lane.server.said(bytes)
        case .end(let trailers):
            self.deliveredInBatch = true
            self.answerEnded(trailers)
        case .failed(let code, let what): self.fail(code, what)
        }
    }

    private func answerEnded(_ trailers: HeaderFields) {
        guard let exchange = self.exchange else { return }
        self.exchange = nil
        self.settle()
        // First back to the pool, so that the next request of the same browser can have it.
        if self.answer.allowsAnother, self.requestIsComplete, self.inbound.readableBytes == 0 {
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
        case .answer: self.answerInputEnded(why)
        case .closed: break
        }
    }

    private func answerInputEnded(_ why: String) {
        switch self.answer.stage {
        case .head where self.answer.hasBegun: self.fail(.closedInAnswer, "\(why) in the answer's head")
        case .head: self.fail(.closedBeforeAnswer, "\(why) before an answer")
        case .body:
            if let end = self.answer.finish() {
                self.deliver(end)
            } else {
                self.fail(.closedInAnswer, "\(why) in the answer's body")
            }
        case .tunnel: self.exchange?.upstreamTunnelEnded()
        }
    }

    /// Ended while nobody had sent anything: whoever was just given the connection learns that it was stale.
    private func failOrClose() {
        if self.exchange != nil { self.fail(.closedBeforeAnswer, "the connection ended") } else { self.close() }
    }

    private func setDeadlineForAnswer() {
        guard self.requestIsComplete, self.isWaiting else { return }
        let limit = self.answer.hasBegun ? self.configuration.idleTime : self.configuration.firstByteTime
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
