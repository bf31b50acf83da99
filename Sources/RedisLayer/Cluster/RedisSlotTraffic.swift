/// What waits to be published while a slot changes its owner: a value without I/O.
///
/// A node that no longer owns a slot answers `MOVED`, and what it answered so was not published: it is sent again, to the
/// new owner. So that it stays before what is sent later, nothing of the slot goes to the new owner until the old one
/// has answered all that it was sent.
struct RedisSlotTraffic<Outgoing> {
    private struct Move {
        /// What the old owner sent back, in order.
        var returned: [Outgoing] = []
        /// What came later.
        var later: [Outgoing] = []
    }

    private var owners: [RedisEndpoint.Address]
    /// How much is under way, for each slot.
    private var underWay = [Int32](repeating: 0, count: RedisSlot.count)
    private var moves: [Int: Move] = [:]

    /// Held back in all; the caller refuses more when it is too much.
    private(set) var held = 0

    /// - Parameter first: whom to ask while nothing is known.
    init(first: RedisEndpoint.Address) {
        self.owners = Array(repeating: first, count: RedisSlot.count)
    }

    func owner(of slot: Int) -> RedisEndpoint.Address { self.owners[slot] }

    /// - Returns: whom to send it to; `nil` when it is held back.
    mutating func send(_ outgoing: Outgoing, in slot: Int) -> RedisEndpoint.Address? {
        guard self.moves[slot] == nil else {
            self.moves[slot]?.later.append(outgoing)
            self.held += 1
            return nil
        }
        self.underWay[slot] += 1
        return self.owners[slot]
    }

    mutating func setOwner(of slot: Int, _ owner: RedisEndpoint.Address) {
        guard self.owners[slot] != owner else { return }
        self.owners[slot] = owner
        if self.underWay[slot] > 0, self.moves[slot] == nil { self.moves[slot] = Move() }
    }

    /// One was answered.
    ///
    /// - Parameter returned: it, when it was not published and must be sent again.
    /// - Returns: what is to be sent now.
    mutating func answered(in slot: Int, returned: Outgoing?) -> [Outgoing] {
        self.underWay[slot] -= 1
        if let returned {
            self.moves[slot, default: Move()].returned.append(returned)
            self.held += 1
        }
        guard self.underWay[slot] == 0, let move = self.moves.removeValue(forKey: slot) else { return [] }
        self.held -= move.returned.count + move.later.count
        return move.returned + move.later
    }

    /// Everything that is held back; nothing is any more.
    mutating func takeHeld() -> [Outgoing] {
        defer { self.moves = [:] }
        self.held = 0
        return self.moves.values.flatMap { $0.returned + $0.later }
    }
}
