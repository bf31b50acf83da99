import ChannelLayer
import Synchronization

/// A memory layer whose broker, as it were, can be lost and come back, or refuse to follow groups.
final class BrokenLayer: ChannelLayer {
    private let real = MemoryLayer()
    private let listeners = Mutex<[any GroupFeedListener]>([])
    private let refuses = Atomic(false)

    /// From now on no feed can follow anything.
    func refuseToFollow() { self.refuses.store(true, ordering: .relaxed) }

    /// The broker is gone; feeds hear nothing until `restore`.
    func interrupt() {
        for listener in self.listeners.withLock({ $0 }) {
            listener.feedInterrupted(LayerError(.unavailable, "the broker is gone"))
        }
    }

    func restore() {
        for listener in self.listeners.withLock({ $0 }) { listener.feedRestored() }
    }

    func openFeed(_ listener: any GroupFeedListener) -> any GroupFeed {
        self.listeners.withLock { $0.append(listener) }
        return Feed(real: self.real.openFeed(listener), layer: self)
    }

    private struct Feed: GroupFeed {
        let real: any GroupFeed
        let layer: BrokenLayer

        func follow(_ group: GroupName, ready: @escaping @Sendable (LayerError?) -> Void) {
            if self.layer.refuses.load(ordering: .relaxed) {
                ready(LayerError(.unavailable, "the broker is gone"))
            } else {
                self.real.follow(group, ready: ready)
            }
        }
        func unfollow(_ group: GroupName) { self.real.unfollow(group) }
        func close() { self.real.close() }
    }

    // MARK: As the memory layer

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
}
