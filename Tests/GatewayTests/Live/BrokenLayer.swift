import ChannelLayer
import Synchronization

/// A memory layer whose broker, as it were, can be lost and come back, refuse to follow groups, or take its time.
final class BrokenLayer: StandInLayer {
    let real = MemoryLayer()
    /// Nothing is kept.
    var store: (any GroupStore)? { nil }

    private let listeners = Mutex<[any GroupFeedListener]>([])
    private let refuses = Atomic(false)

    /// From now on no feed can follow anything.
    func refuseToFollow() { self.refuses.store(true, ordering: .relaxed) }

    /// What waits for `goOnFollowing`; `nil` while nothing has to.
    private let held = Mutex<[@Sendable () -> Void]?>(nil)

    /// From now on it is not said that a group is followed.
    func holdFollowing() { self.held.withLock { $0 = [] } }

    func goOnFollowing() {
        let held = self.held.withLock { held in
            defer { held = nil }
            return held ?? []
        }
        for each in held { each() }
    }

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
                let isHeld = self.layer.held.withLock { held in
                    held?.append { self.real.follow(group, ready: ready) }
                    return held != nil
                }
                if !isHeld { self.real.follow(group, ready: ready) }
            }
        }
        func unfollow(_ group: GroupName) { self.real.unfollow(group) }
        func close() { self.real.close() }
    }
}
