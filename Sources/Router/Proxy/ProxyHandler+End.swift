import HTTP1
import Logging
import NIOCore
import Telemetry
import Upstream

/// How requests, and the connection, end.
extension ProxyHandler {
    /// The answer is complete, ours or the upstream's: the next request, or the end.
    func finishExchange() {
        guard let exchange = self.exchange else { return }
        self.shard.metrics.answered(exchange.status)
        self.shard.log(exchange, self.identity)
        self.exchange = nil
        guard exchange.requestIsComplete else { return self.endWithLinger() }
        guard exchange.keepsAlive, !self.inputEnded else {
            // What is still to come from the browser is nothing we asked for; but it may be on its way.
            return self.inbound.readableBytes > 0 && !self.inputEnded ? self.endWithLinger() : self.endAfterFlush()
        }
        self.phase = .head
        self.headHasBegun = false
        self.setDeadline()
        if self.inbound.readableBytes > 0 { self.advance() }
        self.resumeReads()
    }

    /// Answers with a short page and ends the connection: where the next request begins can no longer be told.
    ///
    /// - Parameters:
    ///   - code: why, in a word; told to who asks from this host.
    ///   - reason: one sentence for the reader.
    func refuse(_ status: Int, _ code: String, _ reason: String) {
        self.shard.metrics.refused.increment()
        self.shard.metrics.answered(status)
        let exchange = self.exchange
        self.exchange = nil
        if let exchange {
            if exchange.answer == nil { exchange.status = status }
            self.shard.log(exchange, self.identity)
        } else {
            self.shard.logRefusal(status, self.identity)
        }
        if self.shard.logger.logLevel <= .info {
            self.shard.boundedLog.log(
                .info, "Request refused",
                metadata: [
                    LogKey.peer: "\(self.identity.address)", LogKey.status: "\(status)", LogKey.reason: "\(code)",
                    LogKey.error: "\(reason)",
                ])
        }
        // Half an answer cannot be mended.
        guard exchange?.answer == nil else { return self.abort() }
        self.outbound.writeImmutableBuffer(
            ShortPage.bytes(
                status: status, self.reasonFields(code, exchange?.head), reason: reason,
                requestID: exchange.map { $0.name.description }, keepsAlive: false, date: self.shard.clock.httpDate()))
        self.endWithLinger()
    }

    /// What tells an operator who tries it on the host itself why, so that it can be found in the log.
    func reasonFields(_ code: String?, _ head: RequestHead?) -> [(String, String)] {
        guard let code, self.identity.isOnThisHost(head) else { return [] }
        return [("X-Carillon-Reason", code)]
    }

    /// Sends what waits, says that it was the last, and reads on for a moment: closing with unread bytes would make the
    /// browser's system throw our answer away.
    func endWithLinger() {
        self.phase = .lingering
        self.flushAnswer()
        self.inbound = ByteBuffer()
        self.setDeadline()
        if self.inputEnded { self.endAfterFlush() } else { self.context?.close(mode: .output, promise: nil) }
        self.resumeReads()
    }

    func endAfterFlush() {
        guard let context = self.context, self.phase != .closed else { return }
        self.phase = .closed
        self.deadline = self.shard.watch.deadline(in: self.shard.configuration.sendIdleTime)
        self.flushAnswer()
        context.closeAfterFlush()
    }

    func close() {
        self.phase = .closed
        self.context?.close(promise: nil)
    }

    /// Ends everything at once: the browser is gone, or must be told that the answer is not whole.
    func abort() {
        if let exchange = self.exchange {
            self.exchange = nil
            exchange.giveUpUpstream()
            if exchange.isAnswered {
                self.shard.metrics.answered(exchange.status)
            } else if self.phase == .tunnel {
                self.shard.tunnelClosed()
            } else {
                self.shard.metrics.aborted.increment()
            }
            self.shard.log(exchange, self.identity)
        }
        self.close()
    }

    /// Both directions of the tunnel have ended: what is under way still arrives.
    func endTunnel() {
        guard let exchange = self.exchange else { return }
        self.exchange = nil
        exchange.connection?.endTunnel()
        self.shard.tunnelClosed()
        self.shard.log(exchange, self.identity)
        self.endAfterFlush()
    }

    /// The router is about to end.
    func drain() {
        switch self.phase {
        // Who is about to ask cannot know that the router stops.
        case .head where self.inbound.readableBytes == 0:
            self.deadline = min(self.deadline, self.shard.watch.deadline(in: self.shard.quietTime))
        // Once the answer's head has promised to keep the connection, the browser may ask again.
        case .exchange where self.exchange?.answer == nil: self.exchange?.keepsAlive = false
        default: break
        }
    }
}
