import ChannelLayer
import Synchronization

/// One gateway's feed of a `RedisPubSubLayer`.
final class RedisPubSubFeed: GroupFeed {
    private let hub: RedisPubSubHub
    private let listener: any GroupFeedListener
    /// Messages come through the feed of the process' own layer, gaps through this one.
    private let messages: any GroupFeed
    private let gate = DeliveryGate()
    private let isInterrupted = Mutex(false)

    init(_ listener: any GroupFeedListener, messages: any GroupFeed, of hub: RedisPubSubHub) {
        self.listener = listener
        self.messages = messages
        self.hub = hub
    }

    func follow(_ group: GroupName, ready: @escaping @Sendable (LayerError?) -> Void) {
        self.messages.follow(group) { error in
            if let error { return ready(error) }
            self.hub.follow(group, by: self, ready: ready)
        }
    }

    func unfollow(_ group: GroupName) {
        self.messages.unfollow(group)
        self.hub.unfollow(group, by: self)
    }

    func close() {
        self.hub.close(self)
        self.messages.close()
        self.gate.shutAndWait()
    }

    // MARK: For the hub

    func interrupt(_ reason: LayerError) {
        guard self.isInterrupted.withLock({ $0.set(true) }) else { return }
        self.gate.pass { self.listener.feedInterrupted(reason) }
    }

    func restore() {
        guard self.isInterrupted.withLock({ $0.set(false) }) else { return }
        self.gate.pass { self.listener.feedRestored() }
    }
}

extension Bool {
    /// - Returns: whether it was otherwise before.
    fileprivate mutating func set(_ value: Bool) -> Bool {
        defer { self = value }
        return self != value
    }
}
