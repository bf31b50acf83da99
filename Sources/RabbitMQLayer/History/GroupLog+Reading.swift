import ChannelLayer
import NIOCore

/// What the reading thread does with the log.
extension GroupLog {
    /// How long what the broker took may not come back.
    private static let patience = Duration.seconds(10)

    /// Where to read from: behind what was read.
    var start: StreamStart { self.state.withLock { $0.log.last.map { .offset($0 &+ 1) } ?? .first } }

    /// The log is being read from `start` on.
    func connected() {
        self.state.withLock { state in
            state.isConnected = true
            state.trouble = nil
            state.log.excuseSilence(now: .now)
            self.greet(&state)
            state.lastArrival = .now
        }
    }

    func lost(_ error: LayerError) {
        self.state.withLock { state in
            state.isConnected = false
            state.trouble = error
        }
    }

    /// - Parameter place: the offset in the log.
    /// - Returns: `false` when this is another log than before, and everything must be read anew.
    func arrived(_ body: ByteBuffer, at place: UInt64) -> Bool {
        let now = ContinuousClock.now
        let outcome = self.state.withLock {
            state -> (message: (LayerMessage, GroupName)?, then: [@Sendable () -> Void])? in
            state.lastArrival = now
            if let last = state.log.last, place <= last { return nil }
            guard let entry = LogEntry(body) else {
                state.log.pass(place)
                return (nil, [])
            }
            return self.apply(entry, at: place, now, &state)
        }
        guard let (sent, then) = outcome else {
            self.beginAnew()
            return false
        }
        if let (message, group) = sent { _ = self.local.deliver(message, toGroup: group) }
        for step in then { step() }
        return true
    }

    private func apply(
        _ entry: LogEntry, at place: UInt64, _ now: ContinuousClock.Instant, _ state: inout State
    ) -> (message: (LayerMessage, GroupName)?, then: [@Sendable () -> Void]) {
        let wasLive = state.phase == .live
        let isOwn = entry.process == self.process
        let (effect, message) = state.log.apply(entry, at: place, isLive: wasLive, now: now)
        var then: [@Sendable () -> Void] = []
        if isOwn, state.hello?.number == entry.number {
            state.hello = nil
            if state.phase == .catchingUp {
                state.phase = .live
                self.isReading.store(true, ordering: .relaxed)
                state.isBeginning = true
                then.append { self.beginWaiting() }
            }
        } else if effect == .sayPresence, !isOwn, wasLive {
            self.sayPresence(&state)
        }
        if isOwn, let (answer, _) = state.awaited.removeValue(forKey: entry.number) {
            then.append(self.step(answer, effect, state))
        }
        guard wasLive, let message, let audience = entry.audience else { return (nil, then) }
        if isOwn { then.append { self.copy(message, audience) } }
        // One without a position is heard as what it is: a message to the group.
        guard message.position != nil, !self.wasCopied(message, audience, state) else { return (nil, then) }
        return ((message, audience), then)
    }

    /// What the answer is.
    private func step(_ answer: Answer, _ effect: LogState.Effect, _ state: State) -> @Sendable () -> Void {
        switch (answer, effect) {
        case (.publish(let completion), .published(let result)): return { completion(.success(result)) }
        case (.read(let group, let query, let completion), _):
            let page = state.log.histories.look(at: group, query, at: .milliseconds(state.log.time))?.page
            return {
                completion(
                    page.map { .success($0) } ?? .failure(LayerError(.unavailable, "the position is gone again")))
            }
        case (.told(let completion), _): return { completion(nil) }
        case (.publish, _): return { answer.fail(LayerError(.unavailable, "the log has something else in its place")) }
        }
    }

    /// Whether the log has something that is not given to us: it is a new one, and shorter than where we read.
    func isStuck(_ now: ContinuousClock.Instant) -> Bool {
        self.state.withLock { state in
            guard state.isConnected, let taken = state.hello?.taken else { return false }
            return max(taken, state.lastArrival) + Self.patience <= now
        }
    }

    /// Somebody deleted the log, or may have.
    func beginAnew() {
        self.isReading.store(false, ordering: .relaxed)
        let failed = self.state.withLock { state in
            state.log.begin()
            if state.phase == .live { state.phase = .catchingUp }
            state.hello = nil
            state.isConnected = false
            defer { state.awaited = [:] }
            return state.awaited.values.map(\.answer)
        }
        for answer in failed {
            answer.fail(LayerError(.unavailable, "somebody deleted RabbitMQ's log of publications"))
        }
    }
}
