import ChannelLayer
import Logging
import NIOCore
import Telemetry

/// What the gateway knows of the browser on one connection, and how it is spoken to. Lives on its shard's event loop.
///
/// The decisions are made by values: `OutboundQueue` (what is sent when), `WebSocketParser` (what was said), the route
/// (what it means). The session carries them out.
///
/// Nobody refers to a session weakly. Swift keeps the count of an object that was referred to so in a table beside it, and
/// to go there for every frame was a quarter of what it cost. Who belongs to a session is told of its end instead.
final class Session: WheelEntry {
    enum Phase {
        case open
        /// Our close frame is out, or waits to be; nothing of the application is sent any more.
        case closing
        case closed
    }

    // What a delivery touches stands first and together: with thousands of browsers it comes from memory each time, and
    // this is one cache line instead of four.
    let shard: HubShard
    var socket: BrowserSocket
    var phase = Phase.open
    /// Seconds of the shard's clock.
    var spoken: Int
    var queue = OutboundQueue.writable
    /// What is written to the browser at the end of the loop turn, when it follows several groups. Whoever makes it
    /// something owes a `flushStaged`.
    var staged: StagedRun?

    let id: UInt64
    let info: SessionInfo
    let context: GatewayContext

    // Places in the shard's registers; written by their owners only.
    var wheelPlace: TimerWheel<Session>.Place?
    var registryIndex = -1
    var memberships: [Membership] = []

    var parser: WebSocketParser?
    var input = ByteBuffer()
    var meter = RateMeter()

    /// Second of the shard's clock when the next ping or comment is due, or the pong was.
    var beat = 0
    /// A ping is out, and the time for its answer has not run off.
    var awaitsPong = false
    /// Whether anything came since the last ping. A flag and not a time: an answer often comes within the same second.
    var hasAnswered = false
    private var closesWhenDrained = false
    /// Whether it was counted among the connected.
    var hasBegun = false
    /// What the application knows it by, when it is told of it and has to be told of its end.
    var introducedName: String?
    /// Where the route hands messages to workers behind the layer.
    private(set) var bridge: WorkerBridge?
    /// Where browsers choose their channels themselves.
    var client: ClientSession?
    /// Questions to workers whose answers have not come.
    var questions = 0

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
        self.spoken = shard.now
        shard.living += 1
    }

    var form: Form { Form(ruleSet: self.info.route.ruleSet, wire: self.info.wire) }
    var groups: [GroupName] { self.info.plan.groups }
    var settings: SessionSettings { self.context.configuration.session }

    /// The opening answer is about to be written: from now on the session hears its groups.
    func begin() {
        self.shard.enter(self)
        self.client = self.info.route.client.map { ClientSession($0, self.info.transport ?? ClientTransport(), self) }
        if let client {
            self.wait(client.connectTime)
        } else {
            self.startPings()
            if self.info.user != nil { self.shard.list(self) }
        }
        self.hasBegun = true
        self.context.opened(self)
        self.bridge = WorkerBridge.open(for: self)
    }

    /// The first ping comes at a random moment of the interval, so that not all come at once.
    func startPings() { self.wait(Int.random(in: 1...max(self.settings.pingInterval, 1))) }

    /// Who it is was found out after it was let in.
    ///
    /// - Throws: when the user has as many connections as one may have.
    func identify(_ user: String) throws(Refusal) {
        try self.context.count(user: user)
        self.info.identify(user)
    }

    /// Neither closed nor closing.
    var isOpen: Bool { self.phase == .open }

    // MARK: To the browser

    /// Sends bytes that are ready for the wire.
    func send(_ bytes: ByteBuffer) {
        guard self.phase == .open else { return }
        self.spoken = self.shard.now
        if self.queue.isWritable {
            // What `offer` would say, without the bytes going in and out of it.
            self.write(bytes)
        } else {
            self.perform(self.queue.offer(bytes, limit: self.settings.sendQueueLimit))
        }
    }

    /// Lets what may be dropped or replaced while it waits for a slow reader wait by itself; `false` for a reader who is
    /// not slow.
    func queues(_ bytes: ByteBuffer, yielding: OutboundQueue.Yielding) -> Bool {
        guard !self.queue.isWritable, self.phase == .open else { return false }
        self.flushStaged()
        self.spoken = self.shard.now
        self.perform(self.queue.offer(bytes, limit: self.settings.sendQueueLimit, yielding: yielding))
        return true
    }

    func flushStaged() {
        guard let run = self.staged else { return }
        self.staged = nil
        self.send(run.bytes)
    }

    /// The layer was away for a while, and the route may want its browsers to know.
    func tellGap() {
        self.client?.tellGap()
        switch self.info.route.configuration.gap {
        case .ignore: break
        case .close: self.sendAway(.serviceRestart, reason: "gap")
        case .send(let json): self.say(.text(json.bytes))
        }
    }

    /// The gateway stops.
    func shutDown() {
        if let client { client.end(.shutdown) } else { self.sendAway(.serviceRestart, reason: "restart") }
    }

    /// Closes with a code, after what was said before has gone out.
    func sendAway(_ code: CloseCode, reason: String) {
        guard self.phase == .open else { return }
        self.flushStaged()
        guard self.phase == .open else { return }
        self.close(code, reason: reason)
    }

    func perform(_ action: OutboundQueue.Action) {
        switch action {
        case .none: break
        case .dropped(let count): self.context.metrics.slowDrops.increment(by: count)
        case .write(let bytes): self.write(bytes)
        case .closeSlow(let waiting):
            self.context.slow(self, waitingBytes: waiting)
            self.queue.dropWaiting()
            self.close(.slow, reason: "slow")
        }
    }

    private func write(_ bytes: ByteBuffer) {
        if self.queue.isWritable {
            switch BrowserSocket.send(bytes, to: self.socket.descriptor) {
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
        // Who takes what waits is there, although its pong comes after all of that.
        self.hasAnswered = true
        self.perform(self.queue.drained(bytes))
        if self.closesWhenDrained, self.queue.waitingBytes == 0 { self.finishOutput() }
    }

    // MARK: The end

    func close(_ code: CloseCode, reason: String, isAnswer: Bool = false) {
        guard self.phase == .open else { return }
        self.phase = .closing
        var last = self.client?.farewell(code, reason: reason) ?? ByteBuffer()
        self.leave(code)
        if self.form.wire == .eventStream {
            last.writeCloseEvent(code, reason: reason)
        } else if self.form.wire.isWebSocket {
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
    func drop() {
        guard self.phase != .closed else { return }
        self.connectionEnded()
        self.socket.context.close(promise: nil)
    }

    /// The connection has ended.
    func connectionEnded() {
        guard self.phase != .closed else { return }
        let wasOpen = self.phase == .open
        self.phase = .closed
        self.queue.close()
        self.socket.descriptor = -1
        if wasOpen { self.leave(.abnormal) }
        self.shard.wheel.remove(self)
        self.shard.living -= 1
    }

    private func leave(_ code: CloseCode) {
        self.shard.leave(self)
        self.staged = nil
        self.bridge?.closed(code)
        self.bridge = nil
        self.context.departed(self, code)
        self.client?.ended()
        self.client = nil
        self.context.closed(self, code: code, wasOpened: self.hasBegun)
    }

    /// A neighbour left `list` and this session took its place.
    func moved(in list: FollowerList, to index: Int, isFresh: Bool = false) {
        for place in self.memberships.indices where self.memberships[place].list === list {
            self.memberships[place].index = index
            self.memberships[place].isFresh = isFresh
        }
    }

    /// What log lines say of it, with `more`. Costs a microsecond: to be asked for only when a line is written.
    func logMetadata(_ more: Logger.Metadata = [:]) -> Logger.Metadata {
        var metadata = more
        metadata[LogKey.connection] = "\(self.id)"
        metadata[LogKey.route] = "\(self.info.route.configuration.path.text)"
        if let address = self.info.address { metadata[LogKey.peer] = "\(address)" }
        if let user = self.info.user { metadata[LogKey.user] = "\(user)" }
        return metadata
    }
}
