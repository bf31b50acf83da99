import NIOCore

/// What time does to a session: pings and the wait for their answers, comments of event streams, the ends of those who are
/// silent or idle for too long.
extension Session {
    /// The wheel says so: the browser is idle for too long, a ping is due or its answer overdue, or the close took too
    /// long.
    func timeIsUp() {
        guard self.phase == .open else {
            self.drop()
            return
        }
        if self.idleRemaining.map({ $0 <= 0 }) == true {
            self.close(.normal, reason: "idle")
        } else if let deadline = self.client?.deadline, deadline <= self.shard.now {
            self.client?.timePassed()
            if self.isOpen { self.wait(max(self.beat - self.shard.now, 1)) }
        } else if self.shard.now < self.beat {
            self.wait(self.beat - self.shard.now)
        } else if self.client?.isConnected == false {
            self.client?.end(.stale)
        } else if self.form.wire == .eventStream {
            self.keepAlive(ByteBuffer(string: ":\n\n"))
            self.wait(self.settings.pingInterval)
        } else if !self.awaitsPong {
            self.awaitsPong = true
            self.hasAnswered = false
            self.keepAlive(self.client?.ping() ?? Self.ping)
            if self.client?.hasPongs == false {
                self.awaitsPong = false
                self.wait(self.settings.pingInterval)
            } else {
                self.wait(self.settings.pongTimeout)
            }
        } else if !self.hasAnswered {
            self.close(.noPong, reason: "no pong")
        } else {
            self.awaitsPong = false
            self.wait(self.settings.pingInterval - self.settings.pongTimeout)
        }
    }

    /// Wakes the session after so many seconds for the next beat (a ping, a comment, the end of a wait for a pong), or
    /// before that when it will have been idle for too long.
    func wait(_ seconds: Int) {
        self.beat = self.shard.now + seconds
        let expiry = self.client?.deadline.map { $0 - self.shard.now }
        self.shard.wheel.set(self, after: min(seconds, self.idleRemaining ?? seconds, expiry ?? seconds))
    }

    /// The client's deadline is another one.
    func deadlineMoved() {
        guard self.phase == .open else { return }
        self.wait(max(self.beat - self.shard.now, 1))
    }

    private static let ping: ByteBuffer = {
        var ping = ByteBuffer()
        ping.writeWebSocketFrame(.ping, payload: ByteBuffer())
        return ping
    }()

    /// Seconds until it counts as idle; `nil` when it never does.
    private var idleRemaining: Int? {
        let limit = self.settings.idleTimeout
        return limit > 0 ? self.spoken + limit - self.shard.now : nil
    }

    private func keepAlive(_ bytes: ByteBuffer) {
        self.perform(self.queue.offer(bytes, limit: self.settings.sendQueueLimit))
    }
}
