import ChannelLayer
import NIOCore

/// The part of a session that speaks the Centrifugo client protocol: it takes frames apart, and does what `ClientProtocol`
/// says. Lives on its session's event loop.
///
/// Replies of one go are one frame, and go out before whatever arrives later: a subscriber has its reply before the first
/// push.
final class ClientSession {
    let endpoint: ClientEndpoint
    let transport: ClientTransport
    var codec: ClientCodec { self.transport.form.codec }
    /// Until the connection ends.
    private(set) var session: Session?
    var machine: ClientProtocol

    /// The frame that is being read, what is left of it, and those behind it.
    private var frames: CircularBuffer<ByteBuffer> = .init(initialCapacity: 2)
    private var waitingBytes = 0
    private var replies = ByteBuffer()
    private var isWorking = false
    /// Second of the shard's clock when time does something.
    private(set) var deadline: Int?
    /// What that is for the protocol: seconds since 1970.
    private var due: Int64?

    /// Goes on where another gateway's stood; then `resume`.
    ///
    /// - Throws: for channels that this gateway does not have.
    init(_ endpoint: ClientEndpoint, _ snapshot: ClientSnapshot, _ session: Session) throws(SnapshotError) {
        self.endpoint = endpoint
        self.session = session
        self.transport = snapshot.transport
        self.machine = try ClientProtocol(snapshot, rules: endpoint.rules)
        self.secret = snapshot.secret
    }

    init(_ endpoint: ClientEndpoint, _ transport: ClientTransport, _ session: Session) {
        self.endpoint = endpoint
        self.session = session
        self.transport = transport
        self.machine = ClientProtocol(rules: endpoint.rules, client: ClientID.random(), transport: transport)
        if transport.path.needsEmulation || transport.path.isUnidirectional { self.secret = ClientID.random() }
        if transport.path.needsEmulation {
            session.context.emulated.add(self, as: self.secret, on: session.shard.eventLoop)
        }
    }

    /// What the browser names when it says something in a request of its own, and a backend when it means this
    /// connection; empty for WebSockets of both directions.
    private(set) var secret = ""

    /// Neither a command nor an answer waits.
    var isIdle: Bool { self.frames.isEmpty && self.replies.readableBytes == 0 && !self.isWorking }

    // MARK: What the session asks

    var isConnected: Bool { self.machine.isConnected }

    /// Seconds a browser has for its `connect`.
    var connectTime: Int { self.endpoint.connectTime }

    /// A ping is due: its frame, which every wire takes; `nil` for the WebSocket's own.
    func ping() -> ByteBuffer? {
        guard !self.transport.hasNativePings else { return nil }
        self.machine.pinged()
        var frame = self.frame(self.codec.ping)
        // That one browsers answer by themselves.
        if self.transport.path == .unidirectionalWebSocket { frame.writeWebSocketFrame(.ping, payload: ByteBuffer()) }
        return frame
    }

    /// Whether the browser answers pings.
    var hasPongs: Bool { self.transport.hasPongs }

    /// What tells why the connection ends; `nil` where a close frame does.
    func farewell(_ code: CloseCode, reason: String) -> ByteBuffer? {
        guard self.transport.path != .webSocket else { return nil }
        var push = ByteBuffer()
        let isBare = self.transport.path.isUnidirectional
        self.codec.write(
            ClientPush(.disconnect(ClientDisconnect(code.rawValue, reason))), isBare: isBare, to: &push)
        return self.frame(push)
    }

    /// Pushes or replies as the wire takes them.
    private func frame(_ payload: ByteBuffer) -> ByteBuffer {
        guard let session = self.session,
            case .bytes(let frame)? = session.context.frame(for: self.codec.message(payload), on: session.form.wire)
        else { return ByteBuffer() }
        return frame
    }

    /// The layer was away for a while.
    func tellGap() {
        guard self.endpoint.configuration.gap == .reconnect else { return }
        self.end(.insufficientState)
    }

    /// Ends the connection from outside of the protocol.
    func end(_ reason: ClientDisconnect) {
        self.perform(self.machine.disconnect(reason))
    }

    // MARK: From the browser

    private static let frameLimit = 256

    /// What the request said that opened the connection.
    func begin(with frame: ByteBuffer) {
        // To say nothing is a way to say who one is, on streams that tell only.
        let isEmpty = frame.readableBytes == 0 && self.transport.path.isUnidirectional && !self.transport.isProtobuf
        self.received(self.codec == .json ? .text(isEmpty ? ByteBuffer(string: "{}") : frame) : .binary(frame))
    }

    /// What the browser said in a request of its own.
    func emulated(_ message: BrowserMessage) {
        guard let session = self.session, session.isOpen else { return }
        session.hasHeard()
        self.received(message)
    }

    func received(_ message: BrowserMessage) {
        // Of one that only listens nothing counts but the first.
        guard !self.transport.path.isUnidirectional || self.machine.isFresh else { return }
        let frame: ByteBuffer
        switch (message, self.codec) {
        case (.text(let text), .json): frame = text
        case (.binary(let bytes), .protobuf): frame = bytes
        default: return self.end(.inappropriateProtocol)
        }
        guard frame.readableBytes > 0 else { return self.end(.badRequest) }
        self.waitingBytes += frame.readableBytes
        self.frames.append(frame)
        self.work()
        // What is left of it waits for an answer: what it will ask can go along.
        if self.machine.isBusy, let rest = self.frames.last { self.foresee(rest) }
        // What waits while a command is under way is bounded: only a flood is more than a few frames.
        guard let session = self.session else { return }
        let limit = session.context.configuration.session.messageLimit * 4
        if self.waitingBytes > limit || self.frames.count > Self.frameLimit { self.end(.tooManyRequests) }
    }

    /// Carries out commands until one must be waited for.
    private func work() {
        guard !self.isWorking else { return }
        self.isWorking = true
        while let session = self.session, session.isOpen, !self.machine.isBusy, var frame = self.frames.popFirst() {
            guard session.isWithinRate() else { break }
            session.context.metrics.received.increment()
            let length = frame.readableBytes
            do throws(ClientCodec.Fault) {
                let command =
                    self.transport.path.isUnidirectional
                    ? try self.codec.connect(in: &frame) : try self.codec.nextCommand(of: &frame)
                self.waitingBytes -= length - frame.readableBytes
                self.isWithinFrame = frame.readableBytes > 0
                if self.isWithinFrame { self.frames.prepend(frame) }
                self.perform(self.machine.handle(command))
            } catch {
                self.end(.badRequest)
            }
        }
        self.isWorking = false
        if self.frames.isEmpty, !self.machine.isBusy { self.foreseen.removeAll() }
        self.flush()
    }

    /// What was asked for commands that are still to come.
    var foreseen = ForeseenQuestions()

    /// The first of `frames` is the rest of the one that the last command stood in.
    private var isWithinFrame = false

    private func skipRestOfFrame() {
        guard self.isWithinFrame, let rest = self.frames.popFirst() else { return }
        self.isWithinFrame = false
        self.waitingBytes -= rest.readableBytes
    }

    // MARK: What comes from elsewhere

    /// The deadline is reached.
    func timePassed() {
        guard let due = self.due else { return }
        self.resume(self.machine.timePassed(now: due))
    }

    /// Something that is no message came in a channel's group.
    func hear(_ notice: ChannelNotice, in group: GroupName) {
        switch notice {
        case .lost: self.resume(self.machine.lose(ClientChannel(of: group).text))
        case .replaced(let client): self.perform(self.machine.replaced(by: client))
        }
    }

    /// Who it is; empty for a visitor without a user.
    var user: String { self.machine.user }
    /// What it is called.
    var id: String { self.machine.client }

    /// A channel that the browser did not ask for.
    func subscribe(to channel: String, _ grant: SubscriptionGrant) {
        self.resume(self.machine.subscribe(to: channel, grant, now: WallClock.seconds()))
    }

    /// Takes a channel away, or all of them.
    func unsubscribe(from channel: String?) { self.resume(self.machine.unsubscribe(from: channel)) }

    /// Another end, in seconds since 1970, and other information for others.
    func prolong(expires: Int64?, info: ClientData?) {
        self.resume(self.machine.prolong(expires: expires, info: info, now: WallClock.seconds()))
    }

    func tellLost(_ channel: String) { self.perform(self.machine.tellLost(channel)) }

    /// The connection has ended.
    func ended() {
        if !self.secret.isEmpty { self.session?.context.emulated.remove(self.secret) }
        for action in self.machine.ended() { self.tellLayer(action) }
        self.session = nil
    }

    /// The connection is not this process's any more.
    func detach() { self.session = nil }

    // MARK: What the machine says

    private func perform(_ actions: [ClientProtocol.Action]) {
        for action in actions {
            guard let session = self.session, session.isOpen else {
                // The others must know, whatever became of the browser.
                self.tellLayer(action)
                continue
            }
            self.perform(action, session)
        }
        if !self.isWorking { self.flush() }
        self.moveDeadline()
    }

    private func perform(_ action: ClientProtocol.Action, _ session: Session) {
        switch action {
        case .reply(let reply): self.write(reply, session)
        case .push(let push):
            self.codec.write(push, isBare: self.transport.path.isUnidirectional, to: &self.replies)
        case .verify(let token): self.verify(token, session)
        case .verifySubscription(let token): self.verifySubscription(token, session)
        case .ask(let event, let details, let choice): self.ask(event, details, choice, session)
        case .connected(let user): self.connected(user, session)
        case .open(let opening): self.open(opening, session)
        case .close(let channel): session.shard.unfollow(channel.group, for: session)
        case .publish(let channel, let namespace, let data, let publisher):
            self.publish(data, by: publisher, to: channel, namespace, nil, session)
        case .publishDecided(let channel, let namespace, let data, let publisher, let result):
            self.publish(data, by: publisher, to: channel, namespace, result, session)
        case .readPresence(let channel): self.readPresence(of: channel, session)
        case .readPresenceStats(let channel): self.readPresenceStats(of: channel, session)
        case .readHistory(let channel, let query): self.readHistory(of: channel, query, session)
        case .tellLater(let channel): session.shard.tellLost(self, channel)
        case .skipRestOfFrame: self.skipRestOfFrame()
        case .disconnect(let reason): self.disconnect(reason, session)
        case .replaceOthers, .removePresence, .announce: self.tellLayer(action)
        }
    }

    private func write(_ reply: ClientReply, _ session: Session) {
        var reply = reply
        if case .connect(var connected) = reply.result {
            connected.session = self.secret
            if self.transport.path.needsEmulation { connected.node = session.context.control.node }
            reply.result = .connect(connected)
        }
        guard self.transport.path.isUnidirectional else { return self.codec.write(reply, to: &self.replies) }
        switch reply.result {
        case .connect(let connected): self.codec.write(ClientPush(.connect(connected)), isBare: true, to: &self.replies)
        // Nothing else is asked for, so nothing else is answered.
        case .error(let error): self.end(ClientDisconnect(refusing: error))
        default: break
        }
    }

    /// What is not for the browser.
    private func tellLayer(_ action: ClientProtocol.Action) {
        let context = self.endpoint.layer
        switch action {
        case .replaceOthers(let channel):
            context?.submit(Hub.replacement(by: self.machine.client), toGroup: channel.group, completion: nil)
        case .removePresence(let channel):
            context?.store?.removePresence(of: self.machine.client, in: channel.group) { _ in }
        case .announce(let joins, let channel, let info):
            let type = joins ? LayerMessage.joinType : LayerMessage.leaveType
            context?.submit(
                ["type": .string(type), "info": info.layerValue], toGroup: channel.group, completion: nil)
        default: break
        }
    }

    func moveDeadline() {
        guard self.machine.deadline != self.due, let session = self.session else { return }
        self.due = self.machine.deadline
        self.deadline = self.due.map { due in
            let wait = due.subtractingReportingOverflow(WallClock.seconds()).partialValue
            return session.shard.now + min(max(Int(clamping: wait), 1), Int(Int32.max))
        }
        session.deadlineMoved()
    }

    private func connected(_ user: String, _ session: Session) {
        if !user.isEmpty {
            do throws(Refusal) {
                try session.identify(user)
            } catch {
                return self.end(.connectionLimit)
            }
        }
        session.shard.list(session)
        session.startPings()
        session.context.introduced(session)
    }

    private func disconnect(_ reason: ClientDisconnect, _ session: Session) {
        self.frames.removeAll()
        self.waitingBytes = 0
        self.flush()
        session.context.sentAway(session, reason)
        session.sendAway(reason.code, reason: reason.reason)
    }

    private func flush() {
        guard self.replies.readableBytes > 0, let session = self.session else { return }
        let replies = self.replies
        self.replies = ByteBuffer()
        // A push of before `unsubscribe` must not come after its reply.
        session.flushStaged()
        session.say(self.codec.message(replies))
    }

    /// Something that was waited for has come.
    ///
    /// - Parameter next: what comes after its answer and before the next command.
    func resume(_ actions: [ClientProtocol.Action], then next: () -> Void = {}) {
        self.perform(actions)
        next()
        self.work()
    }
}

/// What connections are called.
enum ClientID {
    /// Random, in the form of a UUID (RFC 9562, version 4), which is what SDKs' users know.
    static func random() -> String {
        var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        return bytes.enumerated().map { index, byte in
            ([4, 6, 8, 10].contains(index) ? "-" : "") + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }
}
