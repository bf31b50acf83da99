import ChannelLayer

/// One inbox of a `RedisLayer`.
final class RedisInboxChannel: Inbox {
    let channel: ChannelName
    private let listener: any InboxListener
    private let gate = DeliveryGate()
    private let core: RedisLayerCore

    init(_ channel: ChannelName, _ listener: any InboxListener, of core: RedisLayerCore) {
        self.channel = channel
        self.listener = listener
        self.core = core
    }

    func close() {
        self.core.eventLoop.execute { self.core.closeInbox(self) }
        self.gate.shutAndWait()
    }

    /// On the layer's event loop.
    func deliver(_ message: LayerMessage) { self.gate.pass { self.listener.arrived(message) } }
}
