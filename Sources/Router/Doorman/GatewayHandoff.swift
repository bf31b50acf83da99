import CDescriptors
import Glibc
import NIOCore
import Sockets

/// One gateway that takes browsers' sockets on this host.
package enum GatewayHandoff: Sendable {
    /// In this process: the closure owns the descriptor when it returns `true`; on `false` the caller keeps it.
    case closure(@Sendable (CInt) -> Bool)
    /// In another process: its `SOCK_SEQPACKET` socket. One packet per connection: the byte 1, with the descriptor.
    case socket(path: String)
}

/// Passes each socket to the gateway with the fewest connections; one that does not take it is passed over for that one.
///
/// Gateways tell how many they have, on the line they are handed sockets on: nobody else knows, because browsers leave
/// without the router, and there may be several routers. What was handed over since is added. Equal ones take turns.
///
/// Used by the doorman's thread only. A gateway whose queue is full is waited for, a moment, when nobody else takes the socket:
/// many come at once, and each that is not handed over hangs on this router for its life. One that has taken nothing for a
/// second is not waited for.
struct HandoffSender: ~Copyable {
    /// The version of the packets, both ways.
    static let version: UInt8 = 1

    private var lines: [HandoffLine]
    private var turn = 0
    private var round = 0

    /// - Parameter epoll: is to tell when a line says something (`hear`).
    init(_ gateways: [GatewayHandoff], epoll: CInt) {
        self.lines = gateways.map { HandoffLine($0, epoll: epoll) }
        // So that each has told its count before the first visitor comes.
        for index in self.lines.indices { self.lines[index].open() }
    }

    /// Hands `descriptor` to the least loaded gateway that takes it.
    ///
    /// - Returns: whether one did; then the caller's copy is gone. Otherwise the caller keeps it.
    mutating func pass(_ descriptor: CInt) -> Bool {
        if self.tryAll(descriptor) { return true }
        return self.waitForRoom() && self.tryAll(descriptor)
    }

    private mutating func tryAll(_ descriptor: CInt) -> Bool {
        self.round &+= 1
        while let index = self.leastLoaded() {
            self.turn = (index + 1) % self.lines.count
            self.lines[index].lastRound = self.round
            if self.lines[index].pass(descriptor) { return true }
        }
        return false
    }

    /// Until a full queue has room again, for at most a second: a busy machine may let the gateway wait for a processor.
    private func waitForRoom() -> Bool {
        let now = NIODeadline.now()
        var full = self.lines.filter { $0.isFull && now - $0.lastHanded < .seconds(1) }
            .map { pollfd(fd: $0.connection, events: Int16(POLLOUT), revents: 0) }
        return !full.isEmpty && poll(&full, nfds_t(full.count), 1_000) > 0
    }

    /// Of those that were not tried in this round.
    private func leastLoaded() -> Int? {
        var best: Int?
        for step in 0..<self.lines.count {
            let index = (self.turn + step) % self.lines.count
            guard self.lines[index].lastRound != self.round else { continue }
            if let found = best, self.lines[found].load <= self.lines[index].load { continue }
            best = index
        }
        return best
    }

    /// Takes in what a gateway says.
    ///
    /// - Returns: whether `descriptor` is a line to a gateway.
    mutating func hear(_ descriptor: CInt) -> Bool {
        guard let index = self.lines.firstIndex(where: { $0.connection == descriptor }) else { return false }
        self.lines[index].hear()
        return true
    }

    deinit {
        for line in self.lines where line.connection >= 0 { _ = close(line.connection) }
    }
}

/// The way to one gateway: for a socket, the connection kept open to it.
private struct HandoffLine {
    private let gateway: GatewayHandoff
    private let epoll: CInt
    private(set) var connection: CInt = -1
    /// The round in which it was tried last.
    var lastRound = 0
    /// Connections it had when it told them last, and what it was handed since.
    private var reported = 0
    private var handed = 0
    private(set) var lastHanded = NIODeadline.uptimeNanoseconds(0)
    private var lastReport = NIODeadline.uptimeNanoseconds(0)
    /// Whether its queue had no room for the last one.
    private(set) var isFull = false
    /// What was handed over so recently may not be in a report yet.
    private static let settling = TimeAmount.milliseconds(250)
    /// How long a report may be left out because of that.
    private static let oldest = TimeAmount.seconds(3)

    var load: Int { self.reported &+ self.handed }

    init(_ gateway: GatewayHandoff, epoll: CInt) {
        self.gateway = gateway
        self.epoll = epoll
    }

    mutating func open() {
        if case .socket(let path) = self.gateway { _ = self.connect(path) }
    }

    mutating func pass(_ descriptor: CInt) -> Bool {
        self.isFull = false
        switch self.gateway {
        case .closure(let take):
            guard take(descriptor) else { return false }
        case .socket(let path):
            let kept = self.connection >= 0
            guard kept || self.connect(path) else { return false }
            if !self.send(descriptor) {
                self.isFull = errno == EAGAIN
                if self.isFull { return false }
                // The gateway was started anew since: its socket file has a new listener.
                self.hangUp()
                guard kept, self.connect(path), self.send(descriptor) else { return false }
            }
        }
        self.handed &+= 1
        self.lastHanded = .now()
        return true
    }

    /// Reads all reports: a byte, the version, and eight with the number of connections, the highest first.
    mutating func hear() {
        var packet = [UInt8](repeating: 0, count: 10)
        while true {
            let count = recv(self.connection, &packet, packet.count, CInt(MSG_DONTWAIT))
            if count == 9, packet[0] == HandoffSender.version {
                let now = NIODeadline.now()
                guard now - self.lastHanded > Self.settling || now - self.lastReport > Self.oldest else { continue }
                self.lastReport = now
                let connections = packet[1..<9].reduce(into: UInt64(0)) { $0 = $0 << 8 | UInt64($1) }
                (self.reported, self.handed) = (Int(clamping: connections), 0)
            } else if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) {
                return self.hangUp()
            } else if count < 0 {
                return
            }
        }
    }

    private mutating func hangUp() {
        if self.connection >= 0 { _ = close(self.connection) }
        self.connection = -1
        // Whoever comes to be there next begins with nothing.
        (self.reported, self.handed, self.lastReport) = (0, 0, .uptimeNanoseconds(0))
    }

    private func send(_ descriptor: CInt) -> Bool {
        var version = HandoffSender.version
        guard cdescriptors_send_descriptor(self.connection, &version, 1, descriptor) == 1 else { return false }
        _ = close(descriptor)
        return true
    }

    private mutating func connect(_ path: String) -> Bool {
        guard let address = UnixSocketAddress(path: path) else { return false }
        let type = CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { return false }
        guard address.connect(descriptor),
            cdescriptors_epoll_add(self.epoll, descriptor, CDESCRIPTORS_READABLE.rawValue) == 0
        else {
            _ = close(descriptor)
            return false
        }
        self.connection = descriptor
        return true
    }
}
