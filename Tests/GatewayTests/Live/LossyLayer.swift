import ChannelLayer
import Synchronization

/// A memory layer that keeps histories, on whose way to feeds messages are lost, and in which something may happen just when
/// somebody comes.
final class LossyLayer: StandInLayer {
    let real = MemoryLayer()
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

    // MARK: What is kept

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
        func handOverPresence(of client: String, in group: GroupName) {
            self.real.handOverPresence(of: client, in: group)
        }
        func readPresence(
            of group: GroupName, completion: @escaping @Sendable (Result<[Presence], LayerError>) -> Void
        ) { self.real.readPresence(of: group, completion: completion) }
        func readPresenceStats(
            of group: GroupName, completion: @escaping @Sendable (Result<PresenceStats, LayerError>) -> Void
        ) { self.real.readPresenceStats(of: group, completion: completion) }
    }
}
