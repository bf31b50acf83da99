import ChannelLayer
import Synchronization

/// A memory layer that keeps histories, and on whose way to feeds messages are lost.
final class LossyLayer: ChannelLayer {
    private let real = MemoryLayer()
    private let losses = Mutex(0)

    /// Of what is sent from now on so many do not arrive.
    func loseNext(_ count: Int) { self.losses.withLock { $0 = count } }

    func openFeed(_ listener: any GroupFeedListener) -> any GroupFeed {
        self.real.openFeed(Listener(layer: self, real: listener))
    }

    private struct Listener: GroupFeedListener {
        let layer: LossyLayer
        let real: any GroupFeedListener

        func arrived(_ message: LayerMessage, in group: GroupName) {
            let isLost = self.layer.losses.withLock { losses in
                guard message.position != nil, losses > 0 else { return false }
                losses -= 1
                return true
            }
            if !isLost { self.real.arrived(message, in: group) }
        }
        func feedInterrupted(_ reason: LayerError) { self.real.feedInterrupted(reason) }
        func feedRestored() { self.real.feedRestored() }
    }

    // MARK: As the memory layer

    var store: (any GroupStore)? { self.real.store }
    func send(_ message: LayerMessage, to channel: ChannelName) async throws(LayerError) {
        try await self.real.send(message, to: channel)
    }
    func send(_ message: LayerMessage, toGroup group: GroupName) async throws(LayerError) {
        try await self.real.send(message, toGroup: group)
    }
    func receive(from channel: ChannelName) async throws(LayerError) -> LayerMessage {
        try await self.real.receive(from: channel)
    }
    func newChannel(prefix: String) async throws(LayerError) -> ChannelName {
        try await self.real.newChannel(prefix: prefix)
    }
    func groupAdd(_ group: GroupName, _ channel: ChannelName) async throws(LayerError) {
        try await self.real.groupAdd(group, channel)
    }
    func groupDiscard(_ group: GroupName, _ channel: ChannelName) async throws(LayerError) {
        try await self.real.groupDiscard(group, channel)
    }
    func flush() async throws(LayerError) { try await self.real.flush() }
    func close() async { await self.real.close() }
    func submit(
        _ message: LayerMessage, to channel: ChannelName, completion: (@Sendable (LayerError?) -> Void)?
    ) { self.real.submit(message, to: channel, completion: completion) }
    func submit(
        _ message: LayerMessage, toGroup group: GroupName, completion: (@Sendable (LayerError?) -> Void)?
    ) { self.real.submit(message, toGroup: group, completion: completion) }
    func openInbox(_ listener: any InboxListener) -> (any Inbox)? { self.real.openInbox(listener) }
}
