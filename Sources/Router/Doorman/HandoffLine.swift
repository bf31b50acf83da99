import CDescriptors
import Glibc
import NIOCore
import Sockets

/// What became of a socket that was to be handed over.
enum HandoffOutcome {
    /// It is the gateway's; the caller's copy is gone.
    case taken
    /// A gateway is there and has no room for it now. The caller keeps it.
    case full
    /// Nobody is there. The caller keeps it.
    case gone
}

/// The way to one gateway: for a socket, the connection kept open to it.
struct HandoffLine {
    private let gateway: GatewayHandoff
    private let epoll: CInt
    private(set) var connection: CInt = -1
    /// The round in which it was tried last.
    var lastRound = 0
    private var load = GatewayLoad(openedAt: .now())
    /// Whether `epoll` also tells when there is room again.
    private var watchesRoom = false

    init(_ gateway: GatewayHandoff, epoll: CInt) {
        self.gateway = gateway
        self.epoll = epoll
    }

    mutating func open() {
        if case .socket(let path) = self.gateway { _ = self.connect(path, at: .now()) }
    }

    /// Whether the next visitor is better here than at `other`: who says nothing comes last, then the fewest connections.
    func isBetter(than other: HandoffLine, at now: NIODeadline) -> Bool {
        let (mine, others) = (self.isQuiet(at: now), other.isQuiet(at: now))
        return mine == others ? self.load.connections < other.load.connections : others
    }

    /// One that is not connected is not quiet: it may have been started anew, which is seen by trying.
    private func isQuiet(at now: NIODeadline) -> Bool { self.connection >= 0 && self.load.isQuiet(at: now) }

    mutating func pass(_ descriptor: CInt, at now: NIODeadline) -> HandoffOutcome {
        let outcome: HandoffOutcome
        switch self.gateway {
        case .closure(let take): outcome = take(descriptor) ? .taken : .gone
        case .socket(let path): outcome = self.pass(descriptor, to: path, at: now)
        }
        if outcome == .taken { self.load.wasHandedOne(at: now) }
        return outcome
    }

    private mutating func pass(_ descriptor: CInt, to path: String, at now: NIODeadline) -> HandoffOutcome {
        if self.connection >= 0 {
            let outcome = self.send(descriptor)
            guard outcome == .gone else { return outcome }
            // The gateway was started anew since: its socket file has a new listener.
            self.hangUp(at: now)
        }
        let outcome = self.connect(path, at: now)
        return outcome == .taken ? self.send(descriptor) : outcome
    }

    /// Reads all reports: a byte, the version, and eight with the number of connections, the highest first.
    mutating func hear() {
        var packet = [UInt8](repeating: 0, count: 10)
        while true {
            let count = recv(self.connection, &packet, packet.count, CInt(MSG_DONTWAIT))
            if count == 9, packet[0] == HandoffSender.version {
                let connections = packet[1..<9].reduce(into: UInt64(0)) { $0 = $0 << 8 | UInt64($1) }
                self.load.reports(Int(clamping: connections), at: .now())
            } else if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) {
                return self.hangUp(at: .now())
            } else if count < 0 {
                return
            }
        }
    }

    /// Whether `epoll` is to tell not only what the gateway says, but also when its queue has room. Only while somebody
    /// waits: each packet that a gateway takes would wake the doorman.
    mutating func watchRoom(_ isWanted: Bool) {
        guard self.watchesRoom != isWanted else { return }
        self.watchesRoom = isWanted
        if self.connection >= 0 { _ = cdescriptors_epoll_change(self.epoll, self.connection, self.bits) }
    }

    private var bits: UInt32 {
        guard self.watchesRoom else { return CDESCRIPTORS_READABLE.rawValue }
        // By edges, because a queue may have room when something else is lacking (see `send`).
        return CDESCRIPTORS_READABLE.rawValue | CDESCRIPTORS_WRITABLE.rawValue | CDESCRIPTORS_EDGE_TRIGGERED.rawValue
    }

    private mutating func hangUp(at now: NIODeadline) {
        if self.connection >= 0 { _ = close(self.connection) }
        self.connection = -1
        // Whoever comes to be there next begins with nothing.
        self.load = GatewayLoad(openedAt: now)
    }

    private func send(_ descriptor: CInt) -> HandoffOutcome {
        var version = HandoffSender.version
        guard cdescriptors_send_descriptor(self.connection, &version, 1, descriptor) == 1 else {
            // The last one: as many sockets are on their way, over all lines of this user, as a process may open.
            return [EAGAIN, ENOBUFS, ENOMEM, ETOOMANYREFS].contains(errno) ? .full : .gone
        }
        _ = close(descriptor)
        return .taken
    }

    /// `taken` when it is connected.
    private mutating func connect(_ path: String, at now: NIODeadline) -> HandoffOutcome {
        guard let address = UnixSocketAddress(path: path) else { return .gone }
        let type = CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { return .gone }
        guard address.connect(descriptor), cdescriptors_epoll_add(self.epoll, descriptor, self.bits) == 0 else {
            // A gateway that accepts nobody has a queue for routers, too.
            let outcome = errno == EAGAIN ? HandoffOutcome.full : .gone
            _ = close(descriptor)
            return outcome
        }
        self.connection = descriptor
        self.load = GatewayLoad(openedAt: now)
        return .taken
    }
}
