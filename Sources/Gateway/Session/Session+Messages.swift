import ChannelLayer
import NIOCore

extension Session {
    /// Does with a message from the browser what the route says.
    func take(_ message: BrowserMessage) {
        self.context.metrics.received.increment()
        switch self.info.plan.receiver.action(for: message) {
        case .send(let message, let group):
            self.context.layer.submit(message, toGroup: group, completion: nil)
        case .reply(let outcome):
            self.say(outcome)
        case .drop(let reason):
            self.context.metrics.droppedFromBrowser(reason)
        case .hand:
            // A layer without a way to workers has none.
            guard let bridge = self.bridge else { return self.context.metrics.droppedFromBrowser(.notTaken) }
            bridge.received(message)
        case .ask(let target):
            self.ask(message, target)
        }
    }

    /// A POST to the workers; what they answer goes back to this browser alone.
    private func ask(_ message: BrowserMessage, _ target: String) {
        guard let handshake = self.info.handshake else { return }
        let loop = self.shard.eventLoop
        self.questions += 1
        self.context.ask(AskRequest(message, to: target, for: handshake), loop).hop(to: loop).assumeIsolated()
            .whenComplete { self.answered($0) }
    }

    private func answered(_ result: Result<AskAnswer, any Error>) {
        self.questions -= 1
        switch result {
        case .success(let answer) where (200...299).contains(answer.status):
            guard answer.body.readableBytes > 0 else { return }
            var text = UTF8Validator()
            let isText = answer.body.withUnsafeReadableBytes { text.accept($0) } && text.isComplete
            self.say(isText ? .text(answer.body) : .binary(answer.body))
        case .success(let answer):
            self.context.log.log(
                .info, "A worker refused a browser's message", metadata: ["status": "\(answer.status)"])
        case .failure(let error):
            self.context.log.log(.warning, "No worker answered a browser's message", metadata: ["error": "\(error)"])
        }
    }

    /// Sends a message to this browser alone.
    func say(_ outcome: RuleOutcome) {
        switch self.context.frame(for: outcome, on: self.form.wire) {
        case .bytes(let bytes): self.send(bytes)
        case .close(let code, let reason): self.sendAway(code, reason: reason)
        case .notice?, nil: break
        }
    }
}
