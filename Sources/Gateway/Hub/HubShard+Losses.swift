import NIOCore

/// What browsers are told of what they may have missed. They come back when they know, so they do not all know at once.
extension HubShard {
    /// The layer was away: those whose route wants to know are told, a slice of them in each loop turn, and after what was
    /// said before.
    func tellGap() {
        // Which the takeover does not survive.
        guard !self.isPaused else {
            self.owesGap = true
            return
        }
        self.finishDeliveries()
        self.tellGap(Array(self.sessions)[...])
    }

    private func tellGap(_ sessions: ArraySlice<Session>) {
        for session in sessions.prefix(self.slice) { session.tellGap() }
        let rest = sessions.dropFirst(self.slice)
        guard !rest.isEmpty else { return }
        self.nextTurn { self.tellGap(rest) }
    }

    /// Tells a browser of a lost channel, before long.
    func tellLost(_ client: ClientSession, _ channel: String) {
        self.losses.append((client, channel))
        if self.losses.count == 1 { self.scheduleLosses() }
    }

    private static let lossesAtOnce = 20

    private func scheduleLosses() {
        self.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(10)) {
            for _ in 0..<min(Self.lossesAtOnce, self.losses.count) {
                self.losses.swapAt(Int.random(in: self.losses.indices), self.losses.count - 1)
                guard let (client, channel) = self.losses.popLast() else { break }
                client.tellLost(channel)
            }
            if !self.losses.isEmpty { self.scheduleLosses() }
        }
    }
}
