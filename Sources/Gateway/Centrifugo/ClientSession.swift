import ChannelLayer
import NIOCore

/// The part of a session that speaks the Centrifugo client protocol: it takes frames apart, and does what `ClientProtocol`
/// says. Lives on its session's event loop.
///
/// Replies of one go are one frame, and go out before whatever arrives later: a subscriber has its reply before the first
/// push.
final class ClientSession {
    private let endpoint: ClientEndpoint
    private let transport: ClientTransport
    private var codec: ClientCodec { self.transport.form.codec }
    private weak var session: Session?
    private var machine: ClientProtocol

    /// The frame that is being read, what is left of it, and those behind it.
    private var frames: CircularBuffer<ByteBuffer> = .init(initialCapacity: 2)
    private var waitingBytes = 0
    private var replies = ByteBuffer()
    private var isWorking = false
    /// Second of the shard's clock when the connection's time is over.
    private(set) var deadline: Int?

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
    private var secret = ""

    /// The session has forgotten it.
    func ended() {
        if !self.secret.isEmpty { self.session?.context.emulated.remove(self.secret) }
    }

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
        // What waits while a command is under way is bounded: only a flood is more than a few frames.
        let limit = (self.session?.context.configuration.session.messageLimit ?? 0) * 4
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
        self.flush()
    }

    /// The first of `frames` is the rest of the one that the last command stood in.
    private var isWithinFrame = false

    private func skipRestOfFrame() {
        guard self.isWithinFrame, let rest = self.frames.popFirst() else { return }
        self.isWithinFrame = false
        self.waitingBytes -= rest.readableBytes
    }

    // MARK: What the machine says

    private func perform(_ actions: [ClientProtocol.Action]) {
        for action in actions {
            guard let session = self.session, session.isOpen else { return }
            self.perform(action, session)
        }
        if !self.isWorking { self.flush() }
    }

    private func perform(_ action: ClientProtocol.Action, _ session: Session) {
        switch action {
        case .reply(let reply): self.write(reply, session)
        case .verify(let token): self.verify(token, session)
        case .connected(let user): self.connected(user, session)
        case .expire(let seconds): self.deadline = seconds.map { session.shard.now + Int(clamping: $0) }
        case .follow(let channel, let namespace): self.follow(channel, namespace, session)
        case .unfollow(let channel): session.shard.unfollow(channel.group, for: session)
        case .publish(let channel, let data, let publisher):
            var message = LayerMessage.publication(data.layerValue)
            message.entries.append(LayerValue.Entry(key: .string("info"), value: publisher.layerValue))
            self.publish(message, to: channel, session)
        case .skipRestOfFrame: self.skipRestOfFrame()
        case .disconnect(let reason): self.disconnect(reason, session)
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

    private func connected(_ user: String, _ session: Session) {
        if !user.isEmpty {
            do throws(Refusal) {
                try session.identify(user)
            } catch {
                return self.end(.connectionLimit)
            }
        }
        session.startPings()
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
    private func resume(_ actions: [ClientProtocol.Action]) {
        self.perform(actions)
        self.work()
    }

    // MARK: What takes time

    private func verify(_ token: String, _ session: Session) {
        guard let tokens = self.endpoint.configuration.tokens else {
            return self.perform(self.machine.verified(.failure(.invalid), now: 0))
        }
        let now = WallClock.seconds()
        session.shard.eventLoop.makeFutureWithTask { await tokens.credentials(of: token, now: now) }
            .assumeIsolated().whenSuccess { [weak self] result in
                guard let self else { return }
                self.resume(self.machine.verified(result, now: now))
            }
    }

    private func follow(_ channel: ClientChannel, _ namespace: Int, _ session: Session) {
        let shard = session.shard
        shard.acquire([channel.group]) { [weak self] error in
            guard let self, let session = self.session, session.isOpen else {
                if error == nil { shard.release([channel.group]) }
                return
            }
            if error == nil {
                let form = Form(
                    ruleSet: self.endpoint.firstForm + namespace, client: self.transport.form, wire: session.form.wire)
                shard.follow(channel.group, for: session, as: form)
            }
            self.resume(self.machine.followed(channel, error))
        }
    }

    private func publish(_ message: LayerMessage, to channel: ClientChannel, _ session: Session) {
        let loop = session.shard.eventLoop
        let bound = NIOLoopBound(self, eventLoop: loop)
        session.context.layer.submit(message, toGroup: channel.group) { error in
            loop.execute {
                let client = bound.value
                client.resume(client.machine.published(error))
            }
        }
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
