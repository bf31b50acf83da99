import NIOCore

/// From the bytes of the browser's frames to its messages.
extension Session {
    func receive(_ bytes: inout ByteBuffer) {
        self.hasAnswered = true
        guard self.phase == .open, self.parser != nil else { return }
        if self.input.readableBytes == 0 {
            self.input = bytes
        } else {
            self.input.writeBuffer(&bytes)
        }
        do {
            while self.phase == .open, let event = try self.parser?.next(&self.input) { self.handle(event) }
        } catch {
            self.context.broken(self, error)
            self.close(error.code, reason: error.reason)
        }
        if self.input.readableBytes == 0 || self.phase != .open { self.input = ByteBuffer() }
    }

    private func handle(_ event: WebSocketParser.Event) {
        switch event {
        case .text(let payload): self.handleMessage(.text(payload))
        case .binary(let payload): self.handleMessage(.binary(payload))
        case .ping(let payload):
            guard self.isWithinRate() else { return }
            var pong = ByteBuffer()
            pong.writeWebSocketFrame(.pong, payload: payload)
            self.send(pong)
        // Nobody needs many, and a flood of them is work.
        case .pong: _ = self.isWithinRate()
        case .close(let code, _):
            // The handshake's end: the same code back, then the connection goes (RFC 6455 section 5.5.1).
            self.close(code, reason: "", isAnswer: true)
        }
    }

    private func handleMessage(_ message: BrowserMessage) {
        if let client {
            // Whose rate is that of commands, of which a message has several.
            self.spoken = self.shard.now
            client.received(message)
            return
        }
        guard self.isWithinRate() else { return }
        self.spoken = self.shard.now
        self.take(message)
    }

    /// The browser said something by a way of its own.
    func hasHeard() {
        self.hasAnswered = true
        self.spoken = self.shard.now
    }

    func isWithinRate() -> Bool {
        if self.meter.take(at: .now(), limit: self.settings.messageRate) { return true }
        if let client {
            client.end(.tooManyRequests)
            return false
        }
        self.context.tooFast(self)
        self.close(.policyViolation, reason: "too many messages")
        return false
    }
}
