/// One gateway's feed of a `MemoryLayer`.
final class MemoryFeed: GroupFeed {
    private let listener: any GroupFeedListener
    private let gate = DeliveryGate()
    private let layer: MemoryLayer

    init(_ listener: any GroupFeedListener, of layer: MemoryLayer) {
        self.listener = listener
        self.layer = layer
    }

    func follow(_ group: GroupName, ready: @escaping @Sendable (LayerError?) -> Void) {
        ready(self.layer.follow(group, by: self) ? nil : MemoryLayer.closed)
    }

    func unfollow(_ group: GroupName) { self.layer.unfollow(group, by: self) }

    func close() {
        self.layer.forget(self)
        self.gate.shutAndWait()
    }

    func deliver(_ message: LayerMessage, in group: GroupName) {
        self.gate.pass { self.listener.arrived(message, in: group) }
    }

    /// The layer itself was closed.
    func end() { self.gate.shutAndWait() }
}
