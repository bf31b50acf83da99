import Files
import HTTP1
import NIOCore
import Telemetry

/// The answers' way out, called on the loop; what comes for another exchange than the present one is too late.
extension WorkerConnection {
    /// Bytes of an answer written at a time. The time limit for a stopped reader counts from piece to piece.
    private static let pieceBytes = 262_144

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
        // As a rule the kernel takes it all.
        if self.writer?.sendDirectly(&bytes) == true { return completion(.written) }
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
        _ = self.writer?.sendDirectly(&bytes)
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

    // MARK: sending

    private func startStream(_ response: WorkerResponse, _ exchange: Exchange) {
        guard let plan = self.plan(response, exchange.terms), let context = self.context else { return }
        var bytes = context.channel.allocator.buffer(capacity: 512)
        plan.writeHead(to: &bytes)
        self.phase = .streaming(exchange, plan)
        self.missingBytes = if case .counted(let length) = plan.framing { length } else { 0 }
        self.writer?.send(bytes)
    }

    func send(_ response: WorkerResponse, to terms: AnswerTerms) {
        guard let plan = self.plan(response, terms) else { return }
        let body = if case .bytes(let body) = plan.framing { body } else { ByteBuffer() }
        // As a rule the kernel takes it all, and the next answer is written in the same memory.
        var bytes = ByteBuffer()
        swap(&bytes, &self.shard.scratch)
        bytes.clear(minimumCapacity: plan.headBytes + body.readableBytes)
        plan.writeHead(to: &bytes)
        bytes.writeImmutableBuffer(body)
        self.phase = .sending
        guard self.writer?.sendDirectly(&bytes) == true else {
            return self.sendPieces(bytes, keepAlive: plan.keepAlive)
        }
        if bytes.capacity <= Self.pieceBytes { self.shard.scratch = bytes }
        self.answered(keepAlive: plan.keepAlive)
    }

    /// The plan for an answer; when the application's cannot be sent, the plan for a 500 instead.
    private func plan(_ response: WorkerResponse, _ terms: AnswerTerms) -> AnswerPlan? {
        self.server.metrics.answers.count(response.status)
        do {
            return try AnswerPlan(response, to: terms, isLast: self.server.isDraining, date: self.shard.clock.now())
        } catch {
            self.server.logger.error("The application's answer cannot be sent", metadata: [LogKey.error: "\(error)"])
            let page = ErrorPage.response(500, "Something went wrong while your request was answered.")
            return try? AnswerPlan(page, to: terms, isLast: true, date: self.shard.clock.now())
        }
    }

    private func sendPieces(_ bytes: ByteBuffer, keepAlive: Bool) {
        guard let context = self.context else { return }
        var rest = bytes
        guard let piece = rest.readSlice(length: min(rest.readableBytes, Self.pieceBytes)), piece.readableBytes > 0
        else {
            return self.answered(keepAlive: keepAlive)
        }
        self.limit(.write, self.server.configuration.writeTimeout)
        let remaining = rest
        context.writeAndFlush(self.wrapOutboundOut(piece)).assumeIsolated().whenComplete { result in
            guard case .success = result else { return }  // closed: channelInactive follows
            self.sendPieces(remaining, keepAlive: keepAlive)
        }
    }

    private func answered(keepAlive: Bool) {
        self.endLimit()
        guard case .sending = self.phase else { return }
        // What was said holds, even when the server has begun to stop since: the visitor may be asking already.
        guard keepAlive else { return self.close() }
        self.phase = .receiving
        self.advance()
    }

    // MARK: going wrong

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
