import Logging
import NIOCore
import Synchronization

/// Which commands topics are subscribed with.
enum RedisSubscriberKind: Sendable {
    /// `SUBSCRIBE`: heard from every server of a cluster, or from the only one.
    case everywhere
    /// `SSUBSCRIBE`: the topic lives on the server of its slot.
    case sharded
}

/// What one subscriber tells, on its event loop.
enum RedisSubscriberEvent: Sendable {
    /// Subscriptions were lost with the connection.
    case lost(RedisError)
    /// All that was lost, and all that was added meanwhile, is confirmed.
    case restored
    /// The server ended the subscription: its slot went elsewhere.
    case moved(RedisTopic)
    /// The server does not allow the subscription, or not any more; of a new one whoever wanted it is told as well.
    case refused(RedisTopic, RedisError, isNew: Bool)
    /// An attempt to connect failed.
    case failed(RedisError, failures: Int)
}

/// Keeps one connection for subscriptions alive; takes wishes from any thread, in the order of the calls.
final class RedisSubscriber: Sendable {
    enum Wish: Sendable {
        case subscribe(RedisTopic, RedisSubscriptions.Ready)
        case unsubscribe(RedisTopic)
    }

    let eventLoop: any EventLoop
    private let wishes = Mutex<[Wish]>([])
    private let core: NIOLoopBoundBox<RedisSubscriberCore>

    /// Starts connecting at once.
    ///
    /// - Parameters:
    ///   - onMessage: what is published on a topic; the buffer is only lent. Called on `eventLoop`, as `onEvent`.
    init(
        _ endpoint: RedisEndpoint, _ kind: RedisSubscriberKind, options: RedisClientOptions, eventLoop: any EventLoop,
        logger: Logger, onEvent: @escaping @Sendable (RedisSubscriberEvent) -> Void,
        onMessage: @escaping @Sendable (ByteBuffer, RedisTopic) -> Void
    ) {
        self.eventLoop = eventLoop
        self.core = NIOLoopBoundBox.makeBoxSendingValue(
            RedisSubscriberCore(kind, options, eventLoop: eventLoop, onEvent: onEvent, onMessage: onMessage),
            eventLoop: eventLoop)
        let core = self.core
        eventLoop.execute { core.value.start(endpoint, logger: logger) }
    }

    func subscribe(_ topic: RedisTopic, ready: @escaping RedisSubscriptions.Ready) {
        self.wish(.subscribe(topic, ready))
    }

    func unsubscribe(_ topic: RedisTopic) { self.wish(.unsubscribe(topic)) }

    private func wish(_ wish: Wish) {
        let isFirst = self.wishes.withLock { wishes in
            wishes.append(wish)
            return wishes.count == 1
        }
        guard isFirst else { return }
        self.eventLoop.execute {
            let wishes = self.wishes.withLock { wishes in
                defer { wishes = [] }
                return wishes
            }
            self.core.value.take(wishes)
        }
    }

    func close() async {
        let core = self.core
        await withCheckedContinuation { continuation in
            self.eventLoop.execute {
                core.value.close()
                continuation.resume()
            }
        }
    }
}
