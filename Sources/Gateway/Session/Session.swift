import ChannelLayer
import Logging
import NIOCore
import Telemetry

/// What the gateway knows of the browser on one connection, and how it is spoken to. Lives on its shard's event loop.
///
/// The decisions are made by values: `OutboundQueue` (what is sent when), `WebSocketParser` (what was said), the route
/// (what it means). The session carries them out.
final class Session: WheelEntry {
    private enum Phase {
        case open
        /// Our close frame is out, or waits to be; nothing of the application is sent any more.
        case closing
        case closed
    }

    let id: UInt64
    let shard: HubShard
    let info: SessionInfo
    let context: GatewayContext

    // Places in the shard's registers; written by their owners only.
    var wheelPlace: TimerWheel<Session>.Place?
    var registryIndex = -1
    var memberships: [Membership] = []

    private var socket: BrowserSocket
    private var phase = Phase.open
    private var queue = OutboundQueue.writable
    private var staged = ByteBuffer()
    private var parser: WebSocketParser?
    private var input = ByteBuffer()
    private var meter = RateMeter()

    // Seconds of the shard's clock.
    private var heard: Int
    private var spoken: Int
    private var awaitsPong = false
    private var closesWhenDrained = false
    /// Whether it was counted among the connected.
    private var hasBegun = false

    /// - Parameter parser: what reads the browser's frames; `nil` for an event stream, which says nothing.
    init(
        id: UInt64, shard: HubShard, socket: BrowserSocket, parser: WebSocketParser?, info: SessionInfo,
        context: GatewayContext
    ) {
        self.id = id
        self.shard = shard
        self.socket = socket
        self.parser = parser
        self.info = info
        self.context = context
        self.heard = shard.now
        self.spoken = shard.now
    }

    var form: Form { Form(ruleSet: self.info.route.ruleSet, wire: self.info.wire) }
    var groups: [GroupName] { self.info.plan.groups }
    private var settings: SessionSettings { self.context.configuration.session }

    /// The opening answer has been written: from now on the session hears its groups.
    func begin() {
        self.shard.enter(self)
        // The first ping comes at a random moment of the interval, so that not all come at once.
        let interval = max(self.settings.pingInterval, 1)
        self.shard.wheel.set(self, after: Int.random(in: 1...interval))
        self.hasBegun = true
        self.context.opened(self)
    }

    // MARK: To the browser

    /// Sends bytes that are ready for the wire.
    func send(_ bytes: ByteBuffer) {
        guard self.phase == .open else { return }
        self.spoken = self.shard.now
        self.perform(self.queue.offer(bytes, limit: self.settings.sendQueueLimit))
    }

    /// Keeps a frame for the end of the loop turn. `true` when it is the first: the caller then owes a `flushStaged`.
    func stage(_ bytes: ByteBuffer) -> Bool {
        guard self.staged.readableBytes > 0 else {
            self.staged = bytes
            return true
        }
        self.staged.writeImmutableBuffer(bytes)
        return false
    }

    func flushStaged() {
        guard self.staged.readableBytes > 0 else { return }
        let bytes = self.staged
        self.staged = ByteBuffer()
        self.send(bytes)
    }

    /// Closes with a code, after what was said before has gone out.
    func sendAway(_ code: CloseCode, reason: String) {
        guard self.phase == .open else { return }
        self.flushStaged()
        guard self.phase == .open else { return }
        self.close(code, reason: reason)
    }

    private func perform(_ action: OutboundQueue.Action) {
        switch action {
        case .none: break
        case .write(let bytes): self.write(bytes)
        case .closeSlow(let waiting):
            self.context.slow(self, waitingBytes: waiting)
            self.queue.dropWaiting()
            self.close(.slow, reason: "slow")
        }
    }

    private func write(_ bytes: ByteBuffer) {
        if self.queue.isWritable {
            switch self.socket.sendNow(bytes) {
            case .all: return
            case .part(let count):
                self.hand(bytes.getSlice(at: bytes.readerIndex + count, length: bytes.readableBytes - count))
            case .failed: self.drop()
            }
        } else {
            // It stays counted as waiting until the loop has sent it.
            self.hand(bytes)
        }
    }

    private func hand(_ rest: ByteBuffer?) {
        guard let rest, rest.readableBytes > 0 else { return }
        self.queue.wroteInPart(remaining: rest.readableBytes)
        self.socket.sendLater(rest) { self.handedOut(rest.readableBytes) }
    }

    private func handedOut(_ bytes: Int) {
        self.perform(self.queue.drained(bytes))
        if self.closesWhenDrained, self.queue.waitingBytes == 0 { self.finishOutput() }
    }

    // MARK: From the browser

    func receive(_ bytes: inout ByteBuffer) {
        self.heard = self.shard.now
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
        case .pong: break
        case .close(let code, _):
            // The handshake's end: the same code back, then the connection goes (RFC 6455 section 5.5.1).
            self.close(code, reason: "", isAnswer: true)
        }
    }

    private func handleMessage(_ message: BrowserMessage) {
        guard self.isWithinRate() else { return }
        self.spoken = self.shard.now
        self.take(message)
    }

    private func isWithinRate() -> Bool {
        if self.meter.take(at: .now(), limit: self.settings.messageRate) { return true }
        self.context.tooFast(self)
        self.close(.policyViolation, reason: "too many messages")
        return false
    }

    // MARK: Time

    /// The wheel says so: a ping is due, or its answer overdue, or the close took too long.
    func timeIsUp() {
        guard self.phase == .open else {
            self.drop()
            return
        }
        let settings = self.settings
        if settings.idleTimeout > 0, self.shard.now - self.spoken >= settings.idleTimeout {
            self.close(.normal, reason: "idle")
            return
        }
        if self.form.wire == .eventStream {
            self.keepAlive(ByteBuffer(string: ":\n\n"))
            self.shard.wheel.set(self, after: settings.pingInterval)
        } else if self.awaitsPong, self.shard.now - self.heard >= settings.pongTimeout {
            self.close(.noPong, reason: "no pong")
        } else if self.awaitsPong {
            self.awaitsPong = false
            self.shard.wheel.set(self, after: settings.pingInterval - settings.pongTimeout)
        } else {
            self.awaitsPong = true
            var ping = ByteBuffer()
            ping.writeWebSocketFrame(.ping, payload: ByteBuffer())
            self.keepAlive(ping)
            self.shard.wheel.set(self, after: settings.pongTimeout)
        }
    }

    private func keepAlive(_ bytes: ByteBuffer) {
        self.perform(self.queue.offer(bytes, limit: self.settings.sendQueueLimit))
    }

    /// The layer was away for a while, and the route may want its browsers to know.
    func tellGap() {
        guard self.info.route.configuration.gap == .close else { return }
        self.sendAway(.tryAgainLater, reason: "gap")
    }

    // MARK: The end

    private func close(_ code: CloseCode, reason: String, isAnswer: Bool = false) {
        guard self.phase == .open else { return }
        self.phase = .closing
        self.leave(code)
        var last = ByteBuffer()
        if self.form.wire == .eventStream {
            last.writeCloseEvent(code, reason: reason)
        } else {
            last.writeWebSocketClose(code, reason: reason)
        }
        self.perform(self.queue.offer(last, limit: .max))
        self.shard.wheel.set(self, after: self.settings.closeTimeout)
        self.answersClose = isAnswer
        if self.queue.waitingBytes == 0 { self.finishOutput() } else { self.closesWhenDrained = true }
    }

    /// The browser began the close, so nothing of it can still be under way.
    private var answersClose = false

    /// All is out. Closing at once could destroy the close frame on its way when the browser is still sending (the kernel
    /// answers unread bytes with a reset): so our side ends first, and the rest when the browser's side has ended.
    private func finishOutput() {
        guard self.phase == .closing else { return }
        if self.answersClose {
            self.drop()
        } else {
            self.socket.context.close(mode: .output, promise: nil)
        }
    }

    /// The connection ends now.
    private func drop() {
        guard self.phase != .closed else { return }
        let wasOpen = self.phase == .open
        self.phase = .closed
        self.queue.close()
        if wasOpen { self.leave(.abnormal) }
        self.shard.wheel.remove(self)
        self.socket.descriptor = -1
        self.socket.context.close(promise: nil)
    }

    /// The connection has ended.
    func connectionEnded() {
        guard self.phase != .closed else { return }
        let wasOpen = self.phase == .open
        self.phase = .closed
        self.queue.close()
        self.socket.descriptor = -1
        self.shard.wheel.remove(self)
        if wasOpen { self.leave(.abnormal) }
    }

    private func leave(_ code: CloseCode) {
        self.shard.leave(self)
        self.staged = ByteBuffer()
        self.context.closed(self, code: code, wasOpened: self.hasBegun)
    }

    /// A neighbour left `list` and this session took its place.
    func moved(in list: FollowerList, to index: Int) {
        for place in self.memberships.indices where self.memberships[place].list === list {
            self.memberships[place].index = index
        }
    }

    /// What log lines say of it.
    var logMetadata: Logger.Metadata {
        var metadata: Logger.Metadata = [
            LogKey.connection: "\(self.id)", LogKey.route: "\(self.info.route.configuration.path)",
        ]
        if let address = self.info.address { metadata[LogKey.peer] = "\(address)" }
        if let user = self.info.user { metadata[LogKey.user] = "\(user)" }
        return metadata
    }
}
