/// What there is at one gateway. It remembers in which order connections came, so that those who are told anew are told
/// in the order in which they would have been told at first.
struct LifecycleState: Sendable {
    private struct Arrival: Sendable {
        var place: UInt64
        var client: LifecycleClient
    }

    private var arrivals: [String: Arrival] = [:]
    /// Of the next who comes.
    private var place: UInt64 = 0
    private(set) var channels: Set<String>

    /// - Parameter clients: in the order in which they came.
    init(clients: KeyValuePairs<String, LifecycleClient> = [:], channels: Set<String> = []) {
        self.channels = channels
        for (name, client) in clients { self.apply(.connected(name, client)) }
    }

    /// In the order in which they came. O(n log n).
    var clients: [(name: String, client: LifecycleClient)] {
        self.arrivals.sorted { $0.value.place < $1.value.place }.map { ($0.key, $0.value.client) }
    }

    func client(_ name: String) -> LifecycleClient? { self.arrivals[name]?.client }

    /// - Returns: whether it was news.
    @discardableResult
    mutating func apply(_ fact: LifecycleFact) -> Bool {
        switch fact {
        case .connected(let name, let client):
            guard self.arrivals[name] == nil else { return false }
            self.arrivals[name] = Arrival(place: self.place, client: client)
            self.place &+= 1
            return true
        case .disconnected(let name, _), .moved(let name): return self.arrivals.removeValue(forKey: name) != nil
        case .followed(let channel): return self.channels.insert(channel).inserted
        case .left(let channel): return self.channels.remove(channel) != nil
        }
    }

    /// What makes `other` of this, in an order that is the same for everybody: connections as they came, channels by name.
    func facts(to other: LifecycleState) -> [LifecycleFact] {
        let gone = self.clients.filter { other.arrivals[$0.name] == nil }
        let come = other.clients.filter { self.arrivals[$0.name] == nil }
        return gone.map { .disconnected($0.name, code: CloseCode.abnormal.rawValue) }
            + self.channels.subtracting(other.channels).sorted().map { .left($0) }
            + come.map { .connected($0.name, $0.client) }
            + other.channels.subtracting(self.channels).sorted().map { .followed($0) }
    }
}

extension LifecycleState: Equatable {
    static func == (one: LifecycleState, other: LifecycleState) -> Bool {
        one.channels == other.channels && one.clients.elementsEqual(other.clients, by: ==)
    }
}
