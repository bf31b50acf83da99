import NIOCore
import TestSupport

@testable import RabbitMQLayer

/// Publishes bytes as they are, as any AMQP client may.
enum RawPublisher {
    /// Connects, publishes each body, and hears whether the broker closed the connection or an AMQP channel about it.
    static func publish(
        _ bodies: [ByteBuffer], exchange: String, key: String, _ configuration: RabbitMQConfiguration
    ) throws {
        guard let address = configuration.addresses.first else { return }
        let connection = try AMQPConnection(to: address, configuration, name: "raw")
        try connection.send(.openChannel, on: 1)
        try connection.send(.selectConfirms, on: 1)
        for body in bodies {
            try connection.publish(
                body, exchange: exchange, key: key, channel: 1, mandatory: false, persistent: false)
        }
        let waker = Waker()
        var confirmed: UInt64 = 0
        while confirmed < UInt64(bodies.count) {
            connection.wait(waker, atMost: .seconds(10))
            while let frame = try connection.next() {
                switch frame {
                case .acknowledged(let number, _), .refused(let number, _): confirmed = max(confirmed, number)
                case .channelClosed(_, let refusal), .connectionClosed(let refusal):
                    throw BrokerError(.lost, "\(refusal)")
                default: break
                }
            }
        }
        connection.close()
    }

    /// Makes a queue as a Python process has one, and gives back the body of the first message that comes after `send`.
    static func receive(
        on queue: String, _ configuration: RabbitMQConfiguration, after send: () -> Void
    ) throws -> ByteBuffer? {
        guard let address = configuration.addresses.first else { return nil }
        let connection = try AMQPConnection(to: address, configuration, name: "raw")
        try connection.send(.openChannel, on: 1)
        try connection.send(.declareQueue(QueuePlan(name: queue)), on: 1)
        try connection.send(.consume(queue: queue, tag: ConsumerTag.main.text, acknowledges: false), on: 1)
        let waker = Waker()
        var assembler = DeliveryAssembler()
        var replies = 0
        for _ in 0..<100 {
            connection.wait(waker, atMost: .seconds(1))
            while let frame = try connection.next() {
                switch frame {
                case .reply:
                    replies += 1
                    if replies == 3 { send() }
                case .deliver(_, let head): assembler.begin(head)
                case .content(let bytes, let reason, _): _ = assembler.content(bytes: bytes, deathReason: reason)
                case .body(let bytes): if let delivery = assembler.body(bytes) { return delivery.body }
                case .channelClosed(_, let refusal): throw BrokerError(.lost, "\(refusal)")
                default: break
                }
            }
        }
        return nil
    }
}
