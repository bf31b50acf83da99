/// One entry of the stream that all gateways write to and the clerk reads: what happened at a gateway, or what the clerk
/// says of one.
struct LifecycleEntry: Equatable, Sendable {
    enum Content: Equatable, Sendable {
        /// In the order in which it happened.
        case facts([LifecycleFact])
        /// All there is at the gateway: it has just begun, or what it said before may be lost.
        case state(LifecycleState)
        /// The gateway has ended, or has been silent for too long.
        case gone
        /// Nothing happened until now.
        case tick
        /// The application has taken the events up to this number.
        case taken(UInt64)
    }

    /// The gateway it is about.
    var node: String
    /// Milliseconds since 1970, by the writer's clock.
    var time: Int64
    var content: Content
}

/// What happens at one gateway.
enum LifecycleFact: Equatable, Sendable {
    case connected(String, LifecycleClient)
    case disconnected(String, code: UInt16)
    /// The channel has its first follower at this gateway, or has lost the last one.
    case followed(String)
    case left(String)
}

struct LifecycleClient: Equatable, Sendable {
    /// Empty for a visitor.
    var user: String
    var transport: String
}

/// What there is at one gateway.
struct LifecycleState: Equatable, Sendable {
    var clients: [String: LifecycleClient] = [:]
    var channels: Set<String> = []

    /// - Returns: whether it was news.
    @discardableResult
    mutating func apply(_ fact: LifecycleFact) -> Bool {
        switch fact {
        case .connected(let client, let what): self.clients.updateValue(what, forKey: client) == nil
        case .disconnected(let client, _): self.clients.removeValue(forKey: client) != nil
        case .followed(let channel): self.channels.insert(channel).inserted
        case .left(let channel): self.channels.remove(channel) != nil
        }
    }

    /// What makes `other` of this, in an order that is the same for everybody.
    func facts(to other: LifecycleState) -> [LifecycleFact] {
        let gone = self.clients.keys.filter { other.clients[$0] == nil }.sorted()
        let come = other.clients.filter { self.clients[$0.key] == nil }.sorted { $0.key < $1.key }
        return gone.map { .disconnected($0, code: CloseCode.abnormal.rawValue) }
            + self.channels.subtracting(other.channels).sorted().map { .left($0) }
            + come.map { .connected($0.key, $0.value) }
            + other.channels.subtracting(self.channels).sorted().map { .followed($0) }
    }
}
