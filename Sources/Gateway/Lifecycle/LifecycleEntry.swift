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

        var isState: Bool { if case .state = self { true } else { false } }
        /// How many facts it has.
        var count: Int { if case .facts(let facts) = self { facts.count } else { 0 } }
    }

    /// The gateway it is about.
    var node: String
    /// Milliseconds since 1970, by the writer's clock.
    var time: Int64
    var content: Content
    /// Of what a gateway says of itself: 1, 2, 3 … With it a reader knows what it has read before, and what is missing.
    /// 0 for what the clerk says.
    var serial: UInt64 = 0
}

/// What happens at one gateway.
enum LifecycleFact: Equatable, Sendable {
    case connected(String, LifecycleClient)
    case disconnected(String, code: UInt16)
    /// The connection goes on in another process of the site, under its name.
    case moved(String)
    /// The channel has its first follower at this gateway, or has lost the last one.
    case followed(String)
    case left(String)
}

struct LifecycleClient: Equatable, Sendable {
    /// Empty for a visitor.
    var user: String
    var transport: String
}
