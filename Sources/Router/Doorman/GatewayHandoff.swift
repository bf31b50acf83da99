import Glibc
import NIOCore

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
/// without the router, and there may be several routers. What was handed over since is added. Equal ones take turns. A
/// gateway that has told nothing for some seconds is the last to be tried: what is in its queue cannot be taken back.
///
/// Used by the doorman's thread only.
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

    /// Hands `descriptor` to the least loaded gateway that takes it; `epoll` must not watch it any more.
    mutating func pass(_ descriptor: CInt, at now: NIODeadline) -> HandoffOutcome {
        self.round &+= 1
        var outcome = HandoffOutcome.gone
        while let index = self.leastLoaded(at: now) {
            self.turn = (index + 1) % self.lines.count
            self.lines[index].lastRound = self.round
            switch self.lines[index].pass(descriptor, at: now) {
            case .taken: return .taken
            case .full: outcome = .full
            case .gone: continue
            }
        }
        return outcome
    }

    /// Of those that were not tried in this round.
    private func leastLoaded(at now: NIODeadline) -> Int? {
        var best: Int?
        for step in 0..<self.lines.count {
            let index = (self.turn + step) % self.lines.count
            guard self.lines[index].lastRound != self.round else { continue }
            if let found = best, !self.lines[index].isBetter(than: self.lines[found], at: now) { continue }
            best = index
        }
        return best
    }

    /// Takes in what a gateway says, or that it has room.
    ///
    /// - Returns: whether `descriptor` is a line to a gateway.
    mutating func hear(_ descriptor: CInt) -> Bool {
        guard let index = self.lines.firstIndex(where: { $0.connection == descriptor }) else { return false }
        self.lines[index].hear()
        return true
    }

    /// Whether `epoll` is to tell when a gateway has room.
    mutating func watchRoom(_ isWanted: Bool) {
        for index in self.lines.indices { self.lines[index].watchRoom(isWanted) }
    }

    deinit {
        for line in self.lines where line.connection >= 0 { _ = close(line.connection) }
    }
}
