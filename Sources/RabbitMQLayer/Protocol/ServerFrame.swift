/// What the broker said, taken from one frame. Pointers are good until the next frame is read.
enum ServerFrame {
    /// A message begins; its content follows.
    case deliver(AMQPChannelID, DeliveryHead)
    /// A message that nobody could be given comes back; its content follows.
    case returned(AMQPChannelID, key: String)
    /// The content's header. `place` is the message's offset in the stream that it is from.
    case content(bytes: UInt64, deathReason: String?, place: UInt64?)
    case body(UnsafeRawBufferPointer)
    /// Messages were taken.
    case acknowledged(UInt64, multiple: Bool)
    /// Messages were refused by a queue.
    case refused(UInt64, multiple: Bool)
    /// The answer to what was asked first and has none yet.
    case reply(AMQPChannelID)
    case channelClosed(AMQPChannelID, BrokerRefusal)
    case connectionClosed(BrokerRefusal)
    /// The broker ended a consumer: its queue is gone.
    case consumerCancelled(tag: String)
    /// The broker takes no messages for now: an alarm.
    case blocked(reason: String)
    case unblocked
    /// Something this layer never asks for.
    case other
}

/// What stands at the beginning of a delivery.
struct DeliveryHead: Sendable, Equatable {
    var tag: UInt64
    var consumer: ConsumerTag
    var isRedelivered: Bool
    /// The routing key, when it came through the exchange for plain publishing.
    var plainKey: String?
}

/// Which of our consumers a delivery is for; how its tag is written.
enum ConsumerTag: Sendable, Hashable {
    /// The process's own queue: groups.
    case main
    /// What the broker dropped from the process's queues.
    case dropped
    /// The queue of the process's own channels with one prefix.
    case own(Int)
    /// A normal channel.
    case normal(Int)
    /// The log of publications.
    case log

    var text: String {
        switch self {
        case .main: "main"
        case .dropped: "dropped"
        case .own(let number): "own.\(number)"
        case .normal(let number): "normal.\(number)"
        case .log: "log"
        }
    }

    init?(_ text: some StringProtocol) {
        switch text {
        case "main": self = .main
        case "dropped": self = .dropped
        case "log": self = .log
        default:
            let parts = text.split(separator: ".")
            guard parts.count == 2, let number = Int(parts[1]) else { return nil }
            switch parts[0] {
            case "own": self = .own(number)
            case "normal": self = .normal(number)
            default: return nil
            }
        }
    }
}
