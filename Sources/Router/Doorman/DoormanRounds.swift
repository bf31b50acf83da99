import CDescriptors
import Glibc
import HTTP1
import Logging
import NIOCore
import Telemetry

/// The doorman's thread: everything it knows, used by that thread alone.
struct DoormanRounds: ~Copyable {
    /// Connections taken from one listener before the others have their turn.
    private static let acceptsPerTurn = 64
    private static let eventsPerTurn = 128

    private let sockets: DoormanSockets
    private let configuration: Doorman.Configuration
    private let metrics: RouterMetrics
    private let log: BoundedLog
    private let adopt: @Sendable (Visitor) -> Void

    private var room = WaitingRoom()
    private var gateways: HandoffQueue
    private var pausedUntil: NIODeadline?
    /// The listening sockets are closed; their numbers may be others' by now.
    private var hasClosed = false
    private var lastMomentEnds: NIODeadline?
    private var peeked: [UInt8]
    private var events = [cdescriptors_event](repeating: cdescriptors_event(), count: Self.eventsPerTurn)

    init(
        _ sockets: DoormanSockets, configuration: Doorman.Configuration,
        metrics: RouterMetrics, logger: Logger, adopt: @escaping @Sendable (Visitor) -> Void
    ) {
        self.sockets = sockets
        self.configuration = configuration
        self.metrics = metrics
        self.log = BoundedLog(logger)
        self.adopt = adopt
        self.gateways = HandoffQueue(
            HandoffSender(configuration.gateways, epoll: sockets.epoll), limit: configuration.undecidedLimit,
            patience: configuration.handoffTime)
        self.peeked = [UInt8](repeating: 0, count: configuration.rule.bytesNeeded)
    }

    /// Works for as long as `isWanted`.
    mutating func run(while isWanted: () -> Bool) {
        _ = cdescriptors_epoll_add(self.sockets.epoll, self.sockets.wakeup, CDESCRIPTORS_READABLE.rawValue)
        self.watchListeners()
        while isWanted() { self.turn() }
    }

    /// Accepts no more, and hears those who were let in for as long as `lastMoment`; then every descriptor here has been
    /// closed or given away.
    mutating func end(after lastMoment: TimeAmount) {
        self.pausedUntil = nil
        self.hasClosed = true
        self.sockets.closeListeners()
        self.lastMomentEnds = .now() + lastMoment
        while let end = self.lastMomentEnds, self.room.count + self.gateways.count > 0, .now() < end { self.turn() }
        self.leaveHouse()
    }

    private mutating func turn() {
        let count = cdescriptors_epoll_wait(
            self.sockets.epoll, &self.events, CInt(Self.eventsPerTurn), self.millisecondsToSleep())
        for index in 0..<max(0, Int(count)) { self.handle(self.events[index]) }
        let now = NIODeadline.now()
        self.closeOverdue(now)
        self.handOverSome(now)
        self.resumeIfDue(now)
        self.metrics.undecided.set(self.room.count)
        self.metrics.handoffsWaiting.set(self.gateways.count)
    }

    private func millisecondsToSleep() -> CInt {
        let moments = [
            self.room.earliestDeadline, self.gateways.nextMoment, self.pausedUntil, self.lastMomentEnds,
        ]
        let next = moments.compactMap { $0 }.min()
        guard let next else { return -1 }
        let nanoseconds = (next - .now()).nanoseconds
        return nanoseconds <= 0 ? 0 : CInt(clamping: nanoseconds / 1_000_000 + 1)
    }

    private mutating func handle(_ event: cdescriptors_event) {
        if event.descriptor == self.sockets.wakeup {
            var ignored: UInt64 = 0
            _ = read(self.sockets.wakeup, &ignored, MemoryLayout<UInt64>.size)
        } else if !self.hasClosed, self.takesListener(event.descriptor) {
            return
        } else if self.gateways.hear(event.descriptor) {
            return
        } else if let visitor = self.room.leave(event.descriptor) {
            let ended = event.bits & (CDESCRIPTORS_PEER_CLOSED.rawValue | CDESCRIPTORS_HANGUP.rawValue) != 0
            self.look(at: visitor, ended: ended, isNew: false)
        }
    }

    // MARK: Accepting

    /// Whether the event is of a socket that is listened on; then it has been dealt with.
    private mutating func takesListener(_ descriptor: CInt) -> Bool {
        if descriptor == self.sockets.takeover {
            self.giveSockets()
        } else if let listener = self.sockets.listeners.first(where: { $0.descriptor == descriptor }) {
            self.acceptSome(listener)
        } else {
            return false
        }
        return true
    }

    /// Another router starts, and asks for the listening sockets.
    private mutating func giveSockets() {
        var storage = sockaddr_storage()
        let newcomer = cdescriptors_accept(
            self.sockets.takeover, &storage, MemoryLayout<sockaddr_storage>.size)
        guard newcomer >= 0 else {
            if [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) { self.pauseAccepting(errno) }
            return
        }
        Takeover.give(self.sockets.shared, to: newcomer)
        self.log.log(.notice, "Another router got a copy of the listening sockets")
    }

    private func watchListeners() {
        if self.sockets.takeover >= 0 {
            let bits = CDESCRIPTORS_READABLE.rawValue | CDESCRIPTORS_EXCLUSIVE.rawValue
            _ = cdescriptors_epoll_add(self.sockets.epoll, self.sockets.takeover, bits)
        }
        for listener in self.sockets.listeners {
            // Exclusive: of several processes on one inherited socket, one is woken.
            let bits = CDESCRIPTORS_READABLE.rawValue | CDESCRIPTORS_EXCLUSIVE.rawValue
            _ = cdescriptors_epoll_add(self.sockets.epoll, listener.descriptor, bits)
        }
    }

    private mutating func acceptSome(_ listener: ListeningSocket) {
        let deadline = NIODeadline.now() + self.configuration.headTime
        for _ in 0..<Self.acceptsPerTurn {
            var storage = sockaddr_storage()
            let descriptor = cdescriptors_accept(listener.descriptor, &storage, MemoryLayout<sockaddr_storage>.size)
            guard descriptor >= 0 else {
                switch errno {
                case EAGAIN: return
                // The visitor left before we opened (Linux passes on the connection's own network errors).
                case ECONNABORTED, EINTR, EPROTO, ENETDOWN, EHOSTDOWN, EHOSTUNREACH, ENETUNREACH, EOPNOTSUPP: continue
                default: return self.pauseAccepting(errno)
                }
            }
            self.metrics.connections.increment()
            let visitor = Visitor(
                descriptor: descriptor, peer: Peer(storage), deadline: deadline, isSecure: listener.isSecure)
            // Nothing can be read in TLS by looking at it.
            if visitor.isSecure { self.adopt(visitor) } else { self.look(at: visitor, ended: false, isNew: true) }
        }
    }

    /// Out of descriptors or memory: whoever waits in the backlog waits a little longer.
    private mutating func pauseAccepting(_ code: CInt) {
        guard self.pausedUntil == nil else { return }
        for descriptor in self.sockets.listeners.map(\.descriptor) + [self.sockets.takeover] where descriptor >= 0 {
            _ = cdescriptors_epoll_remove(self.sockets.epoll, descriptor)
        }
        self.pausedUntil = .now() + self.configuration.pause
        self.metrics.acceptPauses.increment()
        self.log.log(
            .error, "Accepting pauses: no descriptor is left; raise the process' file limit",
            metadata: [LogKey.error: "\(ListeningSocket.errorText(code))"])
    }

    private mutating func resumeIfDue(_ now: NIODeadline) {
        guard let until = self.pausedUntil, now >= until else { return }
        self.pausedUntil = nil
        self.watchListeners()
    }

    // MARK: Deciding

    /// Looks at what `visitor`, who is not in the waiting room, has said so far, and acts on it.
    private mutating func look(at visitor: Visitor, ended: Bool, isNew: Bool) {
        let count = recv(visitor.descriptor, &self.peeked, self.peeked.count, CInt(MSG_PEEK))
        guard count != 0, count > 0 || errno == EAGAIN || errno == EINTR else {
            _ = close(visitor.descriptor)
            return
        }
        let decision = self.peeked.withUnsafeBytes {
            self.configuration.rule.decide(UnsafeRawBufferPointer(rebasing: $0[..<max(0, count)]))
        }
        switch decision {
        case .gateway: self.toGateway(visitor, isNew: isNew)
        case .proxy: self.toProxy(visitor, isNew: isNew)
        case .undecided where ended:
            // A fragment and the end: the proxy says what was wrong with it. Nothing and the end was closed above.
            if count > 0 { self.toProxy(visitor, isNew: isNew) } else { _ = close(visitor.descriptor) }
        case .undecided: self.seat(visitor, isNew: isNew)
        }
    }

    private mutating func seat(_ visitor: Visitor, isNew: Bool) {
        if isNew {
            if self.room.count >= self.configuration.undecidedLimit, let oldest = self.room.leave(self.room.oldest) {
                // Who is new speaks at once, as a rule; who has been silent for longest is the least loss.
                self.metrics.crowdedOut.increment()
                _ = close(oldest.descriptor)
            }
            let bits =
                CDESCRIPTORS_READABLE.rawValue | CDESCRIPTORS_PEER_CLOSED.rawValue
                | CDESCRIPTORS_EDGE_TRIGGERED.rawValue
            guard cdescriptors_epoll_add(self.sockets.epoll, visitor.descriptor, bits) == 0 else {
                _ = close(visitor.descriptor)
                return
            }
        }
        self.room.enter(visitor)
    }

    private mutating func toGateway(_ visitor: Visitor, isNew: Bool) {
        // First, because epoll watches open files: ours lives on in the gateway, and closing our copy would not end the
        // watch, nor could it be ended afterwards.
        if !isNew { _ = cdescriptors_epoll_remove(self.sockets.epoll, visitor.descriptor) }
        switch self.gateways.offer(visitor) {
        case .handedOver: self.metrics.handedOff.increment()
        case .waits:
            self.metrics.handoffWaits.increment()
            self.log.log(
                .info,
                "No gateway has room, so connections wait: one stands still or has too much to do, or more are needed")
        case .refused: self.notTaken(visitor)
        }
    }

    /// Those who have waited for a gateway.
    private mutating func handOverSome(_ now: NIODeadline) {
        let (handedOver, givenUp) = self.gateways.turn(at: now)
        if handedOver > 0 { self.metrics.handedOff.increment(by: handedOver) }
        for visitor in givenUp { self.notTaken(visitor.given(until: now + self.configuration.headTime)) }
    }

    /// No gateway takes it: the proxy tries to tunnel, and answers 503 when that does not work either.
    private func notTaken(_ visitor: Visitor) {
        if !self.configuration.gateways.isEmpty { self.metrics.handoffFailures.increment() }
        self.adopt(visitor)
    }

    private func toProxy(_ visitor: Visitor, isNew: Bool) {
        if !isNew { _ = cdescriptors_epoll_remove(self.sockets.epoll, visitor.descriptor) }
        self.adopt(visitor)
    }

    // MARK: Leaving

    private mutating func closeOverdue(_ now: NIODeadline) {
        while let deadline = self.room.earliestDeadline, deadline <= now,
            let visitor = self.room.leave(self.room.oldest)
        {
            self.metrics.silent.increment()
            _ = close(visitor.descriptor)
        }
    }

    private mutating func leaveHouse() {
        let end = NIODeadline.now() + self.configuration.headTime
        for visitor in self.gateways.leaveAll() { self.notTaken(visitor.given(until: end)) }
        while let visitor = self.room.leave(self.room.oldest) {
            var byte: UInt8 = 0
            if recv(visitor.descriptor, &byte, 1, CInt(MSG_PEEK)) > 0 {
                self.toProxy(visitor, isNew: false)
            } else {
                _ = close(visitor.descriptor)
            }
        }
        self.sockets.closeRest()
    }
}
