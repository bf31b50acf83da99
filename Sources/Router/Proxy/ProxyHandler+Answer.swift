import HTTP1
import NIOCore
import Telemetry
import Upstream

/// The upstream's side of a browser's connection.
extension ProxyHandler: UpstreamExchange {
    func upstreamReady(_ connection: UpstreamConnection) {
        guard let exchange = self.exchange else { return connection.abandon() }
        exchange.ticket = nil
        exchange.connection = connection
        // As a rule the kernel has taken the bytes when this ends, and the next request is written in the same memory.
        var bytes = ByteBuffer()
        swap(&bytes, &self.shard.scratch)
        bytes.clear(minimumCapacity: exchange.head.fields.byteCount + 384)
        defer {
            bytes.clear()
            if bytes.capacity <= 2 * Self.joinedBytes { self.shard.scratch = bytes }
        }
        exchange.upstream = connection.address
        ForwardedHead.write(
            exchange.head, plan: exchange.plan, identity: self.identity, name: exchange.name,
            hostOfUpstream: connection.address.hostField, via: self.shard.configuration.writesVia, to: &bytes)
        if exchange.wire == .records {
            guard let records = self.fastCGIHead(exchange, bytes) else { return }
            bytes = records
        }
        if let sent = exchange.sentBody, sent.readableBytes > 0 { bytes.writeImmutableBuffer(sent) }
        if !exchange.requestIsComplete {
            guard let body = self.takeBody() else { return }
            bytes.writeImmutableBuffer(body)
        }
        connection.start(bytes, method: exchange.plan.method, isComplete: exchange.requestIsComplete)
        if !self.isWritable { connection.holdReads() }
        self.resumeReads()
    }

    func upstreamHead(_ head: ResponseHead, framing: BodyFraming) {
        guard let exchange = self.exchange else { return }
        self.borrowScratch()
        switch head.status {
        case 101: self.switchProtocols(head)
        case 100..<200:
            if !exchange.plan.isHTTP10 { ForwardedHead.writeInterim(head, to: &self.outbound) }
        default:
            // A request that has not all come by now may never come: the browser is told that this is the end.
            let keepsAlive = exchange.keepsAlive && exchange.requestIsComplete && !self.inputEnded
            let plan = AnswerPlan(framing: framing, request: exchange.plan, requestKeepsAlive: keepsAlive)
            exchange.keepsAlive = plan.keepsAlive
            exchange.answer = plan
            exchange.status = head.status
            ForwardedHead.write(
                head, plan: plan, request: exchange.plan, date: self.shard.clock.httpDate(), to: &self.outbound)
        }
    }

    func upstreamBody(_ bytes: ByteBuffer) {
        self.exchange?.bytesSent += bytes.readableBytes
        if self.phase == .tunnel {
            self.setDeadline()
            self.send(bytes)
        } else if self.exchange?.answer?.framing == .chunked {
            self.sendChunk(bytes)
        } else {
            self.send(bytes)
        }
    }

    func upstreamEnd(trailers: HeaderFields) {
        guard let exchange = self.exchange, let answer = exchange.answer else { return }
        exchange.connection = nil
        if answer.framing == .chunked { self.outbound.writeLastChunk(trailers: trailers) }
        // Flushing the last byte can end the connection, which is no fault then.
        exchange.isAnswered = true
        self.flushAnswer()
        self.finishExchange()
    }

    func upstreamReadComplete() {
        self.flushAnswer()
    }

    func upstreamWritable(_ isWritable: Bool) {
        guard isWritable else { return }
        self.setDeadline()
        self.resumeReads()
    }

    func upstreamTunnelEnded() {
        guard self.phase == .tunnel else { return }
        self.flushAnswer()
        self.tunnelEnded = true
        if self.inputEnded { self.endTunnel() } else { self.context?.close(mode: .output, promise: nil) }
    }

    func upstreamFailed(_ error: UpstreamError) {
        guard let exchange = self.exchange else { return }
        exchange.ticket = nil
        exchange.connection = nil
        if self.phase == .tunnel { return self.abort() }
        if self.repeatRequest(exchange, after: error) { return }
        self.shard.metrics.upstreamFailed(error.code.rawValue)
        self.logFailure(error, exchange)
        guard exchange.answer == nil else {
            // What came is sent, and the connection ends short of the promised length or last chunk.
            exchange.keepsAlive = false
            exchange.requestIsComplete = true
            return self.finishExchange()
        }
        self.answerFailure(error, exchange)
    }

    /// Sends the request again, where that does no harm.
    private func repeatRequest(_ exchange: ProxyExchange, after error: UpstreamError) -> Bool {
        guard exchange.answer == nil, let pool = self.shard.pool(exchange.plan.route),
            let next = RetryRule.next(
                after: error, method: exchange.plan.method, isReplayable: exchange.isReplayable,
                repeats: exchange.repeats, retries: pool.retries),
            pool.canRepeat(next, after: error)
        else { return false }
        exchange.repeats += 1
        if let upstream = error.upstream, next == .elsewhere { exchange.tried.insert(upstream) }
        self.shard.metrics.repeated.increment()
        self.acquire(fresh: true)
        return true
    }

    // MARK: Sending

    func borrowScratch() {
        if self.outbound.capacity == 0 { swap(&self.outbound, &self.shard.scratch) }
    }

    func send(_ bytes: ByteBuffer) {
        if self.outbound.readableBytes + bytes.readableBytes <= Self.joinedBytes {
            self.borrowScratch()
            self.outbound.writeImmutableBuffer(bytes)
        } else {
            self.writeOutbound()
            self.writer?.write(bytes)
        }
    }

    private func sendChunk(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        self.borrowScratch()
        if self.outbound.readableBytes + bytes.readableBytes <= Self.joinedBytes {
            self.outbound.writeChunk(bytes)
        } else {
            self.outbound.writeChunkStart(length: bytes.readableBytes)
            self.writeOutbound()
            self.writer?.write(bytes)
            self.outbound.writeStaticString("\r\n")
        }
    }

    private func writeOutbound() {
        guard self.outbound.readableBytes > 0 else { return }
        self.writer?.write(self.outbound)
        self.outbound.clear()
    }

    /// Everything that waits goes to the socket, and the scratch buffer back to the loop.
    func flushAnswer() {
        if self.outbound.readableBytes > 0 {
            self.writer?.send(self.outbound)
            self.outbound.clear()
        } else {
            self.writer?.flush()
        }
        if self.outbound.capacity > 0 {
            self.shard.scratch = self.outbound
            self.outbound = ByteBuffer()
        }
    }

    // MARK: Tunnel

    private func switchProtocols(_ head: ResponseHead) {
        guard let exchange = self.exchange else { return }
        guard exchange.plan.wantsWebSocket, head.fields.hasToken("websocket", in: .upgrade) else {
            exchange.giveUpUpstream()
            self.upstreamFailed(UpstreamError(.badAnswer, "a switch to another protocol that was not asked for"))
            return
        }
        ForwardedHead.writeSwitch(head, to: &self.outbound)
        exchange.status = 101
        self.phase = .tunnel
        self.shard.metrics.answered(101)
        self.shard.tunnelOpened()
        self.flushAnswer()
        self.setDeadline()
        self.advance()
        exchange.connection?.flush()
        self.resumeReads()
    }

    // MARK: Failures

    private func answerFailure(_ error: UpstreamError, _ exchange: ProxyExchange) {
        let (status, reason) = Self.page(for: error, exchange.plan.route)
        self.answer(exchange, status: status, code: error.code.rawValue, reason: reason)
    }

    private static func page(for error: UpstreamError, _ route: Route) -> (Int, String) {
        switch error.code {
        case .unreachable where route.usesGateways: (503, "Live notifications are not available at the moment.")
        case .overloaded, .cancelled: (503, "The site is busy. Please try again in a moment.")
        case .timedOut: (504, "The application did not answer in time.")
        case .unreachable: (502, "The application cannot be reached.")
        default: (502, "The application did not give a usable answer.")
        }
    }

    private func logFailure(_ error: UpstreamError, _ exchange: ProxyExchange) {
        self.shard.boundedLog.log(
            .warning, "Upstream did not answer",
            metadata: [
                LogKey.request: "\(exchange.name)", LogKey.upstream: "\(error.message)",
                LogKey.error: "\(error.code.rawValue)",
            ])
    }
}
