import NIOCore

extension Session {
    /// Whether nothing of it could go on in another process, however long one waits: it has a reply channel in the layer, for
    /// example.
    var mustStay: Bool { self.bridge != nil || self.client?.mustStay == true }

    /// Whether all that the browser was told is with the kernel, and nothing is under way that another process could not go
    /// on with: an answer of a worker, a close.
    var canMove: Bool {
        self.phase == .open && self.hasBegun && self.queue.isWritable && self.questions == 0 && !self.mustStay
            && self.socket.descriptor >= 0 && self.client?.canMove != false
    }

    func setReading(_ reads: Bool) {
        guard self.phase != .closed else { return }
        try? self.socket.context.channel.syncOptions?.setOption(.autoRead, value: reads)
    }

    /// Where it stands, with its socket; `nil` for one that cannot move.
    var moving: (snapshot: ByteBuffer, descriptor: CInt)? {
        guard self.canMove else { return nil }
        let client = self.client?.snapshot
        guard (client == nil) == (self.client == nil) else { return nil }
        let snapshot = SessionSnapshot(
            route: self.info.route.configuration.path.text, wire: self.form.wire, groups: self.groups,
            receiver: self.info.plan.receiver, user: self.info.user, address: self.info.address?.description,
            isCounted: self.info.isCounted, handshake: self.info.handshake.map { HandshakeSnapshot($0) },
            silence: self.shard.now - self.spoken, beat: max(self.beat - self.shard.now, 0),
            awaitsPong: self.awaitsPong, hasAnswered: self.hasAnswered, rate: self.meter.fullAt, input: self.input,
            parser: self.parser?.snapshot, introducedName: self.introducedName, client: client)
        let bytes = snapshot.encoded()
        return bytes.readableBytes <= SessionSnapshot.sizeLimit ? (bytes, self.socket.descriptor) : nil
    }

    /// Another gateway has the socket: this copy of it goes, without a word to the browser.
    func passOn() {
        guard self.phase == .open else { return }
        self.phase = .closed
        self.queue.close()
        self.socket.descriptor = -1
        self.shard.leave(self)
        self.shard.living -= 1
        self.client?.passOn()
        self.client = nil
        self.context.passedOn(self)
        self.socket.context.close(promise: nil)
    }

    /// Goes on where another gateway's session stood. Its groups are acquired.
    func resume(_ snapshot: SessionSnapshot) {
        self.spoken = self.shard.now - max(snapshot.silence, 0)
        self.awaitsPong = snapshot.awaitsPong
        self.hasAnswered = snapshot.hasAnswered
        self.meter = RateMeter(fullAt: snapshot.rate)
        self.input = snapshot.input
        self.hasBegun = true
        self.shard.enter(self)
        if let client = snapshot.client, let endpoint = self.info.route.client {
            // It was tried before the browser was taken.
            self.client = try? ClientSession(endpoint, client, self)
            self.client?.resume(client)
        }
        if self.info.user != nil || self.client != nil { self.shard.list(self) }
        self.wait(max(snapshot.beat, 1))
        self.context.tookOver(self, as: snapshot.introducedName)
        if let parser = snapshot.parser {
            // It was tried before the browser was taken.
            try? self.parser?.restore(parser)
        }
    }
}
