import ChannelLayer
import Synchronization

/// A memory layer that keeps histories, on whose way to feeds messages are lost, and in which something may happen just when
/// somebody comes.
final class LossyLayer: ChannelLayer {
    private let real = MemoryLayer()
    private let losses = Mutex(0)

    /// Of what is sent from now on so many do not arrive.
    func loseNext(_ count: Int) { self.losses.withLock { $0 = count } }

    private let arrival = Mutex<(@Sendable () -> Void)?>(nil)

    /// Does it each time before somebody is present in a group.
    func whenSomebodyComes(_ body: (@Sendable () -> Void)?) { self.arrival.withLock { $0 = body } }

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

    var store: (any GroupStore)? { self.real.store.map { Store(layer: self, real: $0) } }

    private struct Store: GroupStore {
        let layer: LossyLayer
        let real: any GroupStore

        func addPresence(
            _ presence: Presence, in group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void
        ) {
            self.layer.arrival.withLock { $0 }?()
            self.real.addPresence(presence, in: group, completion: completion)
        }
        func publish(
            _ message: LayerMessage, toGroup group: GroupName, keeping options: HistoryOptions,
            completion: @escaping @Sendable (Result<PublishResult, LayerError>) -> Void
        ) { self.real.publish(message, toGroup: group, keeping: options, completion: completion) }
        func readHistory(
            of group: GroupName, _ query: HistoryQuery,
            completion: @escaping @Sendable (Result<HistoryPage, LayerError>) -> Void
        ) { self.real.readHistory(of: group, query, completion: completion) }
        func removeHistory(of group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void) {
            self.real.removeHistory(of: group, completion: completion)
        }
        func removePresence(
            of client: String, in group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void
        ) { self.real.removePresence(of: client, in: group, completion: completion) }
        func readPresence(
            of group: GroupName, completion: @escaping @Sendable (Result<[Presence], LayerError>) -> Void
        ) { self.real.readPresence(of: group, completion: completion) }
        func readPresenceStats(
            of group: GroupName, completion: @escaping @Sendable (Result<PresenceStats, LayerError>) -> Void
        ) { self.real.readPresenceStats(of: group, completion: completion) }
    }

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
