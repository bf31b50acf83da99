import ChannelLayer
import Logging

/// The publishing thread: sends what the outbox has, and hears the confirms.
///
/// A connection of its own, because the broker stops reading from who publishes too fast or during an alarm, and then a
/// call of the library blocks for as long as that lasts.
struct PublishLoop: Sendable {
    private enum Request {
        case exchange(ExchangePlan)
        case queue(QueuePlan)
        case confirms

        var method: ClientMethod {
            switch self {
            case .exchange(let plan): .declareExchange(plan)
            case .queue(let plan): .declareQueue(plan)
            case .confirms: .selectConfirms
            }
        }
    }

    /// AMQP channels: a refused declaration closes its own only.
    private enum Channel {
        static let control: AMQPChannelID = 1
        static let publish: AMQPChannelID = 2
    }

    private struct Session {
        var control = RequestPipeline<Request>()
        var publish = RequestPipeline<Request>()
        /// Whether messages can be sent.
        var works = false
        /// When it must end, having been told to close.
        var end: ContinuousClock.Instant?
    }

    /// Messages sent before confirms are looked at again.
    private static let batch = 64

    let configuration: RabbitMQConfiguration
    let topology: Topology
    let outbox: Outbox
    let observer: (any LayerObserver)?
    let logger: Logger
    /// Called when the exchange of the groups turns out to be gone.
    let exchangeVanished: @Sendable () -> Void

    func run() {
        let keeper = ConnectionKeeper(
            purpose: "publish", configuration: self.configuration, waker: self.outbox.waker, logger: self.logger)
        keeper.run(while: { !self.outbox.isClosing }) { connection, works throws(BrokerError) in
            try self.serve(connection, &works)
        } lost: { error in
            self.outbox.lost(error.layerError)
        }
        self.outbox.ended()
    }

    private func serve(_ connection: consuming AMQPConnection, _ works: inout Bool) throws(BrokerError) {
        var session = Session()
        session.control.ask(.exchange(self.topology.groups))
        session.publish.ask(.confirms)
        while true {
            while let frame = try connection.next() { try self.handle(frame, &session, connection) }
            try self.speak(&session, connection)
            if !session.works, session.control.isIdle, session.publish.isIdle {
                session.works = true
                works = true
                self.outbox.connected()
            }
            if self.mustEnd(&session) { return connection.close() }
            switch self.outbox.next(limit: Self.batch) {
            case .send(let batch): for submission in batch { try self.send(submission, connection) }
            case .declare(let queue):
                // One at a time: the question is asked again until the answer is there.
                if session.control.isIdle { session.control.ask(.queue(self.topology.normalQueue(queue))) }
                try self.speak(&session, connection)
                connection.wait(self.outbox.waker, atMost: connection.heartbeat)
            case .wait:
                connection.wait(
                    self.outbox.waker, atMost: session.end == nil ? connection.heartbeat : .milliseconds(50))
            }
        }
    }

    /// Whether the layer was closed and everything is said, or the time for it is over.
    private func mustEnd(_ session: inout Session) -> Bool {
        guard self.outbox.isClosing else { return false }
        let now = ContinuousClock.now
        let end = session.end ?? now + .seconds(2)
        session.end = end
        return self.outbox.isEmpty || now >= end
    }

    private func speak(_ session: inout Session, _ connection: borrowing AMQPConnection) throws(BrokerError) {
        try Self.speak(&session.control, on: Channel.control, connection)
        try Self.speak(&session.publish, on: Channel.publish, connection)
    }

    private static func speak(
        _ pipeline: inout RequestPipeline<Request>, on channel: AMQPChannelID, _ connection: borrowing AMQPConnection
    ) throws(BrokerError) {
        while let step = pipeline.next() {
            switch step {
            case .open: try connection.send(.openChannel, on: channel)
            case .request(let request): try connection.send(request.method, on: channel)
            }
        }
    }

    private func send(_ submission: Submission, _ connection: borrowing AMQPConnection) throws(BrokerError) {
        let isGroup = if case .group = submission.target { true } else { false }
        let isLasting =
            switch submission.target {
            case .normalChannel, .log: true
            case .group, .process: false
            }
        try connection.publish(
            submission.body, exchange: isGroup ? self.topology.groups.name : "", key: submission.key,
            channel: Channel.publish, mandatory: !isGroup, persistent: isLasting)
    }

    private func handle(
        _ frame: ServerFrame, _ session: inout Session, _ connection: borrowing AMQPConnection
    ) throws(BrokerError) {
        switch frame {
        case .acknowledged(let number, let multiple):
            self.outbox.settle(number, multiple: multiple, isTaken: true)
        case .refused(let number, let multiple): self.outbox.settle(number, multiple: multiple, isTaken: false)
        case .returned(_, let key):
            self.outbox.vanished(queue: key)
            self.observer?.dropped(.unroutable, name: key, count: 1)
        case .reply(Channel.control):
            if case .queue(let plan) = session.control.replied() { self.outbox.declared(queue: plan.name) }
        case .reply: _ = session.publish.replied()
        case .channelClosed(Channel.control, let refusal):
            try connection.send(.channelClosed, on: Channel.control)
            try self.refused(refusal, &session, connection.address.user)
        case .channelClosed(_, let refusal):
            if refusal.code == 404 { self.exchangeVanished() }
            throw refusal.of(
                "publish to the exchange \"\(self.topology.groups.name)\"", needs: .write,
                user: connection.address.user, setting: "config.groups_exchange")
        case .connectionClosed(let refusal):
            throw BrokerError(.lost, "RabbitMQ closed the connection: \(refusal.code) \(refusal.text)")
        case .blocked(let reason):
            let error = LayerError(.unavailable, "RabbitMQ takes no messages for now: \(reason)")
            self.logger.warning("RabbitMQ takes no messages for now", metadata: ["reason": "\(reason)"])
            self.outbox.blocked(error)
        case .unblocked:
            self.logger.notice("RabbitMQ takes messages again")
            self.outbox.blocked(nil)
        case .deliver, .content, .body, .consumerCancelled, .other: break
        }
    }

    /// Something could not be declared.
    private func refused(_ refusal: BrokerRefusal, _ session: inout Session, _ user: String) throws(BrokerError) {
        switch session.control.refused() {
        case .queue(let plan) where refusal.code == 406 && !plan.isPassive:
            // Somebody made it otherwise, perhaps with other settings: it is used as it is.
            self.logger.warning(
                "The queue of a channel was made with other settings; it is used as it is",
                metadata: ["channel": "\(plan.name)", "error": "\(refusal.text)"])
            var plan = plan
            plan.isPassive = true
            session.control.ask(.queue(plan))
        case .queue(let plan):
            let error = refusal.of(
                "make the queue \"\(plan.name)\"", needs: .configure, user: user, setting: nil)
            self.outbox.refused(queue: plan.name, error.layerError)
        case .exchange(let plan):
            throw refusal.of(
                "declare the exchange \"\(plan.name)\"", needs: .configure, user: user,
                setting: "config.groups_exchange")
        case .confirms, nil:
            throw BrokerError(.lost, "RabbitMQ closed an AMQP channel: \(refusal.code) \(refusal.text)")
        }
    }
}
