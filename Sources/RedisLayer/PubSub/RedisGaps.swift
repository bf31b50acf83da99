import Synchronization

/// Tells of one gap when some of several subscribers lost theirs: it lasts until all are restored.
final class RedisGaps: Sendable {
    private let open = Mutex<Set<Int>>([])
    private let receiver: any RedisPubSubReceiver

    init(_ receiver: any RedisPubSubReceiver) { self.receiver = receiver }

    func heard(_ event: RedisSubscriberEvent, from subscriber: Int) {
        switch event {
        case .lost(let error): self.begin(subscriber, error)
        case .restored: self.end(subscriber)
        case .moved, .failed, .refused: break
        }
    }

    func begin(_ subscriber: Int, _ error: RedisError) {
        // Told under the lock, so that the end is never told before the beginning.
        self.open.withLock { open in
            if open.isEmpty { self.receiver.interrupted(error) }
            open.insert(subscriber)
        }
    }

    func end(_ subscriber: Int) {
        self.open.withLock { open in
            if open.remove(subscriber) != nil, open.isEmpty { self.receiver.restored() }
        }
    }
}
