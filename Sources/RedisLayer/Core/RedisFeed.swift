import ChannelLayer

/// One gateway's feed of a `RedisLayer`.
///
/// `@unchecked Sendable`: `isInterrupted` and `isOver` are touched on the layer's event loop only.
final class RedisFeed: GroupFeed, @unchecked Sendable {
    private let listener: any GroupFeedListener
    private let gate = DeliveryGate()
    private let core: RedisLayerCore
    private var isInterrupted = false
    /// Closed, or its layer is: it follows nothing any more.
    private(set) var isOver = false

    init(_ listener: any GroupFeedListener, of core: RedisLayerCore) {
        self.listener = listener
        self.core = core
    }

    // MARK: For its owner

    func follow(_ group: GroupName, ready: @escaping @Sendable (LayerError?) -> Void) {
        self.core.eventLoop.execute { self.core.follow(group, by: self, ready: ready) }
    }

    func unfollow(_ group: GroupName) {
        self.core.eventLoop.execute { self.core.unfollow(group, by: self) }
    }

    func close() {
        self.core.eventLoop.execute { self.core.closeFeed(self) }
        self.gate.shutAndWait()
    }

    // MARK: For the layer, on its event loop

    func deliver(_ message: LayerMessage, in group: GroupName) {
        self.gate.pass { self.listener.arrived(message, in: group) }
    }

    func interrupt(_ reason: LayerError) {
        guard !self.isInterrupted else { return }
        self.isInterrupted = true
        self.gate.pass { self.listener.feedInterrupted(reason) }
    }

    func restore() {
        guard self.isInterrupted else { return }
        self.isInterrupted = false
        self.gate.pass { self.listener.feedRestored() }
    }

    func end() { self.isOver = true }

    /// No call begins, or goes on, after this. From the event loop too: no call is under way there then.
    func silence() { self.gate.shutAndWait() }
}
