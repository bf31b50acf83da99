import ChannelLayer
import Synchronization

/// One gateway's feed: arrivals come from the memory layer inside, interruptions from the connection.
final class RabbitMQFeed: GroupFeed {
    private struct State {
        var groups: Set<Need> = []
        var isClosed = false
        var isInterrupted = false
    }

    private let listener: any GroupFeedListener
    private let arrivals: any GroupFeed
    private let home: ProcessState
    private let gate = DeliveryGate()
    private let state = Mutex(State())

    init(_ listener: any GroupFeedListener, of home: ProcessState) {
        self.listener = listener
        self.home = home
        self.arrivals = home.local.openFeed(listener)
    }

    func follow(_ group: GroupName, ready: @escaping @Sendable (LayerError?) -> Void) {
        let isOpen = self.state.withLock { state in
            if !state.isClosed { state.groups.insert(.group(group)) }
            return !state.isClosed
        }
        guard isOpen else { return ready(OutboxState.closed) }
        self.arrivals.follow(group) { error in
            if let error { return ready(error) }
            self.home.want(.group(group), by: .feed(ObjectIdentifier(self))) { error in
                if error != nil {
                    self.arrivals.unfollow(group)
                    _ = self.state.withLock { $0.groups.remove(.group(group)) }
                }
                ready(error)
            }
        }
    }

    func unfollow(_ group: GroupName) {
        guard self.state.withLock({ $0.groups.remove(.group(group)) }) != nil else { return }
        self.arrivals.unfollow(group)
        self.home.release(.group(group), by: .feed(ObjectIdentifier(self)))
    }

    func close() {
        let groups = self.state.withLock { state in
            state.isClosed = true
            defer { state.groups = [] }
            return state.groups
        }
        self.home.forget(self)
        self.arrivals.close()
        self.gate.shutAndWait()
        self.home.release(.feed(ObjectIdentifier(self)), groups)
    }

    /// The layer itself was closed.
    func end() {
        self.state.withLock { $0.isClosed = true }
        self.gate.shutAndWait()
    }

    /// The connection was lost, or an attempt failed.
    func interrupted(_ error: LayerError) {
        let isNews = self.state.withLock { state in
            defer { state.isInterrupted = true }
            return !state.isInterrupted
        }
        if isNews { self.gate.pass { self.listener.feedInterrupted(error) } }
    }

    /// All groups are followed again.
    func restored() {
        let isNews = self.state.withLock { state in
            defer { state.isInterrupted = false }
            return state.isInterrupted
        }
        if isNews { self.gate.pass { self.listener.feedRestored() } }
    }
}
