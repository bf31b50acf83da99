/// What is said to the broker on one AMQP channel; the few methods of AMQP 0-9-1 that a layer needs.
enum ClientMethod: Sendable, Equatable {
    case openChannel
    /// The answer to the broker's closing of the AMQP channel.
    case channelClosed
    case selectConfirms
    case declareExchange(ExchangePlan)
    case declareQueue(QueuePlan)
    case bind(queue: String, exchange: String, key: String)
    case unbind(queue: String, exchange: String, key: String)
    case prefetch(UInt16)
    case consume(queue: String, tag: String, acknowledges: Bool)
    case cancel(tag: String)
    case acknowledge(UInt64, multiple: Bool)
    case reject(UInt64, requeue: Bool)
}

/// An AMQP channel on a connection, from 1.
typealias AMQPChannelID = UInt16

/// An exchange as it must be declared.
struct ExchangePlan: Sendable, Equatable {
    enum Kind: Sendable { case direct, topic }
    var name: String
    var kind: Kind
    var isDurable: Bool
}

/// A queue as it must be declared.
struct QueuePlan: Sendable, Equatable {
    enum Overflow: Sendable { case dropHead, rejectPublish }

    var name: String
    /// Only asks whether there is one; all below is left out.
    var isPassive = false
    /// Of one connection, and gone with it. Others are durable quorum queues.
    var isExclusive = true
    /// Milliseconds that a message waits at most.
    var messageLife: Int64?
    /// Messages it holds at most.
    var maximumLength: Int?
    var overflow = Overflow.dropHead
    /// The queue where messages go that it drops.
    var deadLetters: String?
    /// How often a message is delivered at most; of quorum queues.
    var deliveryLimit: Int?
}
