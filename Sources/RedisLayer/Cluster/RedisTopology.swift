/// Which master of a cluster owns which slots, as one of its nodes sees it.
struct RedisTopology: Equatable {
    struct Range: Equatable {
        let slots: ClosedRange<Int>
        let master: RedisEndpoint.Address
    }

    let ranges: [Range]

    /// Reads the answer to `CLUSTER SLOTS`.
    ///
    /// - Parameter asked: the node that answered; its host stands for one that is not known.
    /// - Returns: `nil` when it is no such answer, or no slot has an owner.
    init?(_ reply: RedisReply, from asked: RedisEndpoint.Address) {
        var ranges: [Range] = []
        for part in reply.array ?? [] {
            guard let part = part.array, part.count >= 3, let first = part[0].integer, let last = part[1].integer,
                (0..<Int64(RedisSlot.count)).contains(first), (first..<Int64(RedisSlot.count)).contains(last),
                let master = part[2].array, master.count >= 2, let port = master[1].integer,
                let address = Self.address(master[0].text ?? "", port, from: asked)
            else { return nil }
            ranges.append(Range(slots: Int(first)...Int(last), master: address))
        }
        guard !ranges.isEmpty else { return nil }
        self.ranges = ranges
    }

    private static func address(
        _ host: String, _ port: Int64, from asked: RedisEndpoint.Address
    ) -> RedisEndpoint.Address? {
        guard (1...65_535).contains(port) else { return nil }
        var host = host
        if host.isEmpty || host == "?" {
            guard case .tcp(let askedHost, _) = asked else { return nil }
            host = askedHost
        }
        return .tcp(host: host, port: Int(port))
    }

    /// Where a node says that a slot is, in `MOVED 3999 127.0.0.1:6381`.
    ///
    /// - Returns: `nil` when the error does not say.
    static func moved(_ error: RedisError, from asked: RedisEndpoint.Address) -> RedisEndpoint.Address? {
        guard error.code == .moved, let word = error.message.firstRange(of: "MOVED ") else { return nil }
        let parts = error.message[word.upperBound...].split(separator: " ")
        guard parts.count >= 2, let colon = parts[1].lastIndex(of: ":"),
            let port = Int64(parts[1][parts[1].index(after: colon)...])
        else { return nil }
        return Self.address(String(parts[1][..<colon]), port, from: asked)
    }
}
