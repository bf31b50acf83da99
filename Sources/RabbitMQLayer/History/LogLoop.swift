import ChannelLayer
import Logging
import NIOCore

/// The thread that reads the log of publications, from the moment somebody needs it.
///
///     publisher ─▶ outbox ─▶ stream queue `carillon.history` ─▶ every process: GroupLog ─▶ feeds, channels
///
/// A stream keeps what was read, for everybody who comes later or comes back, so that a connection that breaks loses
/// nothing: reading goes on behind the last entry.
struct LogLoop: Sendable {
    private enum Channel {
        static let log: AMQPChannelID = 1
    }

    /// Deliveries without an acknowledgement.
    private static let prefetch: UInt16 = 1_000
    /// Frames read before other work is looked at.
    private static let turn = 1_024
    private static let tick = Duration.milliseconds(500)

    private static let another = BrokerError(.lost, "the log of publications begins anew: it was deleted")

    let configuration: RabbitMQConfiguration
    let topology: Topology
    let log: GroupLog
    let logger: Logger

    func run() {
        while !self.log.isWanted { self.log.waker.wait(atMost: .seconds(600)) }
        let keeper = ConnectionKeeper(
            purpose: "history", configuration: self.configuration, waker: self.log.waker, logger: self.logger)
        var isForeign = false
        keeper.run(while: { !self.log.isClosed }) { connection, works throws(BrokerError) in
            try self.serve(connection, &works, &isForeign)
        } lost: { error in
            self.log.lost(error.layerError)
            self.log.tick(.now)
        }
    }

    /// - Parameter isForeign: the stream was made with other bounds, and is used as it is.
    private func serve(
        _ connection: consuming AMQPConnection, _ works: inout Bool, _ isForeign: inout Bool
    ) throws(BrokerError) {
        var plan = self.topology.log
        plan.isPassive = isForeign
        let setUp: [ClientMethod] = [
            .openChannel, .declareQueue(plan), .prefetch(Self.prefetch),
            .follow(queue: plan.name, tag: ConsumerTag.log.text, from: self.log.start),
        ]
        for method in setUp { try connection.send(method, on: Channel.log) }
        var missing = setUp.count
        var assembler = DeliveryAssembler()
        var acks = AckBatch(prefetch: Int(Self.prefetch))
        var nextTick = ContinuousClock.now + Self.tick
        while !self.log.isClosed {
            var frames = 0
            while frames < Self.turn, let frame = try connection.next() {
                frames += 1
                switch frame {
                case .reply:
                    missing -= 1
                    guard missing == 0 else { continue }
                    works = true
                    self.log.connected()
                case .deliver(_, let head): assembler.begin(head)
                case .content(let bytes, _, let place):
                    if let delivery = assembler.content(bytes: bytes, deathReason: nil, place: place) {
                        try self.arrived(delivery, &acks, connection)
                    }
                case .body(let bytes):
                    if let delivery = assembler.body(bytes) { try self.arrived(delivery, &acks, connection) }
                case .channelClosed(_, let refusal):
                    isForeign = refusal.code == 406
                    throw refusal.of(
                        "use the stream \"\(plan.name)\"", needs: .configure, user: connection.address.user,
                        setting: "config.history_log")
                case .connectionClosed(let refusal):
                    throw BrokerError(.lost, "RabbitMQ closed the connection: \(refusal.code) \(refusal.text)")
                case .consumerCancelled:
                    // It is another log that has this name next. If it is the same, the same is read once more.
                    self.log.beginAnew()
                    throw BrokerError(.lost, "RabbitMQ ended the reading of the log: its queue was deleted")
                default: break
                }
            }
            let now = ContinuousClock.now
            if now >= nextTick {
                nextTick = now + Self.tick
                if let number = acks.flush() {
                    try connection.send(.acknowledge(number, multiple: true), on: Channel.log)
                }
                self.log.tick(now)
                if self.log.isStuck(now) {
                    self.log.beginAnew()
                    throw Self.another
                }
            }
            if frames < Self.turn { connection.wait(self.log.waker, atMost: nextTick - now) }
        }
        connection.close()
    }

    private func arrived(
        _ delivery: DeliveryAssembler.Delivery, _ acks: inout AckBatch, _ connection: borrowing AMQPConnection
    ) throws(BrokerError) {
        guard let place = delivery.place else { throw BrokerError(.refused, "config.history_log: it is no stream") }
        guard self.log.arrived(delivery.body, at: place) else {
            throw Self.another
        }
        if let number = acks.add(delivery.head.tag) {
            try connection.send(.acknowledge(number, multiple: true), on: Channel.log)
        }
    }
}
