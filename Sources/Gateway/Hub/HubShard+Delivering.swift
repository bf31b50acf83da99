import NIOCore

/// From the inbox to the sessions: what has arrived is joined or staged at once, and written a slice of followers in each
/// loop turn.
extension HubShard {
    /// Everything that arrived since the last look: joined per list, or staged with those who follow several groups.
    func drain() {
        self.inboxBox?.take(into: &self.arrived)
        for delivery in self.arrived {
            let list = delivery.list
            switch delivery.frame {
            case .bytes(let bytes) where bytes.readableBytes == 0:
                list.lastOffset = delivery.offset
                if !list.joining.isEmpty { self.hold(bytes, delivery.offset, list) }
            case .bytes(let bytes):
                list.join(bytes)
                if !list.isQueued, list.hasWork {
                    list.isQueued = true
                    self.queued.append(list)
                }
                if let key = delivery.key {
                    self.stage(bytes, with: list.shared, yielding: list.yielding(key))
                } else {
                    self.stage(delivery.patch ?? bytes, with: list.shared)
                }
                self.stage(bytes, with: list.fresh)
                if delivery.isBase { list.endFreshness() }
                if delivery.offset > 0 { list.lastOffset = delivery.offset }
                if !list.joining.isEmpty { self.hold(bytes, delivery.offset, list) }
            case .close(let code, let reason):
                // What was said before must go out before.
                while list.hasWork { self.count(list.advance(limit: .max)) }
                for session in list.everybody() { session.sendAway(code, reason: reason) }
            case .notice(let notice):
                if notice == .lost {
                    list.lastOffset = 0
                    for joiner in list.joining { joiner.isBroken = true }
                }
                for session in list.everybody() { session.client?.hear(notice, in: list.group) }
            }
        }
        self.arrived.removeAll(keepingCapacity: true)
        if !self.isRunning { self.run() }
    }

    /// Keeps a frame for the end of the loop turn with followers that may follow other groups, too.
    private func stage(
        _ frame: ByteBuffer, with sessions: ContiguousArray<Session>, yielding: OutboundQueue.Yielding = .never
    ) {
        guard !sessions.isEmpty else { return }
        var staging = FrameStaging(frame)
        for session in sessions {
            if yielding != .never, session.queues(frame, yielding: yielding) { continue }
            if session.staged == nil { self.staged.append(session) }
            staging.add(to: &session.staged)
        }
    }

    /// Keeps what arrives for those who still have to hear what was before, or sends it to who has.
    func hold(_ bytes: ByteBuffer, _ offset: UInt64, _ list: FollowerList) {
        for joiner in list.joining {
            if joiner.takes(bytes, offset), bytes.readableBytes > 0 {
                joiner.session.flushStaged()
                joiner.session.send(bytes)
            }
            self.seatIfReady(joiner, list.group)
        }
    }

    /// Writes to at most one slice of followers; the rest waits for another loop turn.
    func run() {
        var room = self.slice
        while room > 0, let list = self.queued.popFirst() {
            let reached = list.advance(limit: room)
            self.count(reached)
            room &-= max(reached, 1)
            if list.hasWork { self.queued.append(list) } else { list.isQueued = false }
        }
        while room > 0, let session = self.staged.popFirst() {
            self.count(1)
            session.flushStaged()
            room &-= 1
        }
        self.isRunning = !self.queued.isEmpty || !self.staged.isEmpty
        if self.isRunning { self.nextTurn { self.run() } }
    }

    /// Writes all that has arrived, without the pauses between slices.
    func finishDeliveries() {
        self.drain()
        while let list = self.queued.popFirst() {
            while list.hasWork { self.count(list.advance(limit: .max)) }
            list.isQueued = false
        }
        while let session = self.staged.popFirst() {
            self.count(1)
            session.flushStaged()
        }
    }

    func count(_ deliveries: Int) {
        if deliveries > 0 { self.metrics.deliveries.increment(by: deliveries) }
    }

    /// Runs `body` after the loop has looked at its sockets; `execute` would run it before.
    func nextTurn(_ body: @escaping () -> Void) {
        self.eventLoop.assumeIsolated().scheduleTask(in: .microseconds(20), body)
    }
}
