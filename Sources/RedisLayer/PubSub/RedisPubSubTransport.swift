import ChannelLayer
import NIOCore

/// Publishes to topics and subscribes to them, on whatever servers they live: hosts among which names are divided, or a
/// cluster.
protocol RedisPubSubTransport: Sendable {
    /// Publications go within slots (`SPUBLISH`).
    var isSharded: Bool { get }

    /// Publishes to whoever is subscribed. Takes it at once, from any thread, in the order of the calls.
    ///
    /// - Parameters:
    ///   - command: the publication to `topic`.
    ///   - completion: called once, on any thread, perhaps before this returns.
    func publish(
        _ command: RedisCommand, to topic: RedisTopic, completion: @escaping @Sendable (LayerError?) -> Void)

    /// Sends a command whose keys are where the topic is; in the order of the calls, with what is published there.
    ///
    /// - Parameter completion: called once, on any thread, perhaps before this returns.
    func run(
        _ command: RedisCommand, on topic: RedisTopic,
        completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void)

    /// Subscribes to a topic, and again after each loss of a connection, until `unsubscribe`. Idempotent.
    ///
    /// - Parameter ready: called once, never before this returns; without an error when the server has confirmed it. After
    ///   an error the topic may be subscribed nevertheless, until `unsubscribe`.
    func subscribe(_ topic: RedisTopic, ready: @escaping @Sendable (RedisError?) -> Void)

    /// Ends a subscription. What is on its way may still arrive.
    func unsubscribe(_ topic: RedisTopic)

    /// Waits until what was published before is here, as far as that can be known.
    func settle() async

    /// Closes all connections; whatever waits ends with `closed`.
    func close() async
}

/// Hears what a transport's subscriptions bring. Called on event loops; must not block.
protocol RedisPubSubReceiver: AnyObject, Sendable {
    /// A message was published. The buffer is only lent.
    func arrived(_ payload: ByteBuffer, on topic: RedisTopic)

    /// Some subscriptions are lost: messages may be missed from now on. Called once, until `restored`.
    func interrupted(_ error: RedisError)

    /// Every subscription that was lost is there again.
    func restored()
}
