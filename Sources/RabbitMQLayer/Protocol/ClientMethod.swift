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
    /// Reads a stream, of which what is read stays.
    case follow(queue: String, tag: String, from: StreamStart)
    case cancel(tag: String)
    case acknowledge(UInt64, multiple: Bool)
    case reject(UInt64, requeue: Bool)
}

/// An AMQP channel on a connection, from 1.
typealias AMQPChannelID = UInt16

/// Where reading a stream begins.
enum StreamStart: Sendable, Equatable {
    /// With the oldest message it has.
    case first
    /// With this offset; 0 is that of the first message there ever was.
    case offset(UInt64)
}

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

    /// What a stream keeps; the oldest segments go beyond that.
    struct StreamBounds: Sendable, Equatable {
        var bytes: Int
        var segmentBytes: Int
    }

    var name: String
    /// Only asks whether there is one; all below is left out.
    var isPassive = false
    /// Set for a stream.
    var stream: StreamBounds?
    /// Of one connection, and gone with it. Others are durable quorum queues, or streams.
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
