import ChannelLayer

/// A memory layer that behaves worse than one in what a test says, and like one in everything else.
protocol StandInLayer: ChannelLayer {
    var real: MemoryLayer { get }
}

extension StandInLayer {
    var store: (any GroupStore)? { self.real.store }
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
