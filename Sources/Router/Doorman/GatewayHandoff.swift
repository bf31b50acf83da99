import CDescriptors
import Glibc
import Sockets

/// One gateway that takes browsers' sockets on this host.
package enum GatewayHandoff: Sendable {
    /// In this process: the closure owns the descriptor when it returns `true`; on `false` the caller keeps it.
    case closure(@Sendable (CInt) -> Bool)
    /// In another process: its `SOCK_SEQPACKET` socket. One packet per connection: the byte 1, with the descriptor.
    case socket(path: String)
}

/// Passes sockets to gateways, in turn; a gateway that does not take one is skipped for that one.
///
/// Used by the doorman's thread only. Nothing here blocks: a gateway whose queue is full is one that does not take it.
struct HandoffSender: ~Copyable {
    /// The version of the hand-off packet.
    static let version: UInt8 = 1

    private var lines: [HandoffLine]
    private var turn = 0

    init(_ gateways: [GatewayHandoff]) {
        self.lines = gateways.map { HandoffLine($0) }
    }

    /// Hands `descriptor` to the next gateway that takes it.
    ///
    /// - Returns: whether one did; then the caller's copy is gone. Otherwise the caller keeps it.
    mutating func pass(_ descriptor: CInt) -> Bool {
        for _ in 0..<self.lines.count {
            let index = self.turn
            self.turn = (self.turn + 1) % self.lines.count
            if self.lines[index].pass(descriptor) { return true }
        }
        return false
    }

    deinit {
        for line in self.lines { line.hangUp() }
    }
}

/// The way to one gateway: for a socket, the connection kept open to it.
private struct HandoffLine {
    private let gateway: GatewayHandoff
    private var connection: CInt = -1

    init(_ gateway: GatewayHandoff) {
        self.gateway = gateway
    }

    mutating func pass(_ descriptor: CInt) -> Bool {
        switch self.gateway {
        case .closure(let take): return take(descriptor)
        case .socket(let path):
            let kept = self.connection >= 0
            guard kept || self.connect(path) else { return false }
            if self.send(descriptor) { return true }
            guard errno != EAGAIN else { return false }
            // The gateway was started anew since: its socket file has a new listener.
            self.hangUp()
            self.connection = -1
            return kept && self.connect(path) && self.send(descriptor)
        }
    }

    func hangUp() {
        if self.connection >= 0 { _ = close(self.connection) }
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
        guard address.connect(descriptor) else {
            _ = close(descriptor)
            return false
        }
        self.connection = descriptor
        return true
    }
}
