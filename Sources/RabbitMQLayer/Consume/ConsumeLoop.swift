import ChannelLayer
import Logging
import NIOCore

/// The consuming thread: declares and binds what this process wants, and hands on what arrives.
struct ConsumeLoop: Sendable {
    typealias Delivery = DeliveryAssembler.Delivery

    /// What one connection has besides its session.
    private struct Life {
        var session: ConsumeSession
        /// Contents of different AMQP channels may interleave.
        var assemblers: [AMQPChannelID: DeliveryAssembler] = [:]
        var current: AMQPChannelID = 0
        var acks: AckBatch
        var normals: [ChannelName: NormalChannel<LayerMessage>] = [:]
        var nextTick: ContinuousClock.Instant
    }

    /// Frames read before other work is looked at.
    private static let turn = 1_024
    private static let tick = Duration.seconds(1)

    let configuration: RabbitMQConfiguration
    let topology: Topology
    let home: ProcessState
    let logger: Logger

    func run() {
        let keeper = ConnectionKeeper(
            purpose: "consume", configuration: self.configuration, waker: self.home.waker, logger: self.logger)
        var number = 0
        keeper.run(while: { !self.home.isClosed }) { connection, works throws(BrokerError) in
            number += 1
            var life = self.begin(number, connection.address.user)
            do throws(BrokerError) {
                try self.serve(connection, &life, &works)
            } catch {
                self.end(&life)
                throw error
            }
            self.end(&life)
        } lost: { error in
            self.home.lost(error.layerError)
        }
    }

    private func begin(_ number: Int, _ user: String) -> Life {
        let session = ConsumeSession(
            self.topology, connection: number, prefetch: self.configuration.localCapacity, user: user,
            needs: self.home.connected())
        return Life(
            session: session, acks: AckBatch(prefetch: self.configuration.localCapacity), nextTick: .now + Self.tick)
    }

    /// Messages of normal channels that may or may not be ours are given up: they come again, here or elsewhere, if they
    /// are not.
    private func end(_ life: inout Life) {
        for (channel, normal) in life.normals { self.home.demand.withdraw(channel, normal.claimCount) }
        life.normals = [:]
    }

    private func serve(
        _ connection: consuming AMQPConnection, _ life: inout Life, _ works: inout Bool
    ) throws(BrokerError) {
        for channel in self.home.demand.all() { try self.update(channel, &life, connection) }
        while !self.home.isClosed {
            if self.home.takeLostBindings() {
                throw BrokerError(.lost, "the exchange \"\(self.topology.groups.name)\" was deleted")
            }
            var frames = 0
            while frames < Self.turn, let frame = try connection.next() {
                try self.handle(frame, &life, connection)
                frames += 1
            }
            for change in self.home.takeChanges() {
                switch change {
                case .add(let need): life.session.add(need)
                case .remove(let need): life.session.remove(need)
                }
            }
            for channel in self.home.demand.takeChanged() { try self.update(channel, &life, connection) }
            while let action = life.session.next() {
                if case .works = action {
                    works = true
                    self.home.works()
                }
                try self.perform(action, &life, connection)
            }
            let now = ContinuousClock.now
            if now >= life.nextTick { try self.tick(now, &life, connection) }
            if frames < Self.turn { connection.wait(self.home.waker, atMost: life.nextTick - now) }
        }
        connection.close()
    }

    /// Once a second: what has waited too long, and what was put off.
    private func tick(
        _ now: ContinuousClock.Instant, _ life: inout Life, _ connection: borrowing AMQPConnection
    ) throws(BrokerError) {
        life.nextTick = now + Self.tick
        self.home.tick(now)
        if let number = life.acks.flush() { try self.acknowledge(number, connection) }
        for channel in self.home.demand.all() { try self.update(channel, &life, connection) }
    }

    private func perform(
        _ action: ConsumeSession.Action, _ life: inout Life, _ connection: borrowing AMQPConnection
    ) throws(BrokerError) {
        switch action {
        case .send(let method, let channel): try connection.send(method, on: channel)
        case .satisfied(let need): self.home.satisfied(need)
        case .refused(let need, let error):
            self.logger.error("RabbitMQ refuses something", metadata: ["error": "\(error)"])
            self.home.refused(need, error.layerError)
        case .works: break
        case .claimed(let channel):
            if let message = life.normals[channel]?.claimed() { self.home.deliver(message, to: channel) }
        case .cancelled(let channel):
            let steps = life.normals[channel]?.cancelled(demand: self.home.demand.open(channel)) ?? []
            try self.perform(steps, channel, &life, connection)
        case .normalChannelsEnded(let refused, let error):
            if let refused {
                self.logger.error(
                    "A channel cannot be read; trying again",
                    metadata: ["channel": "\(refused)", "error": "\(error)"])
            }
            self.end(&life)
            for channel in self.home.demand.all() where channel != refused {
                try self.update(channel, &life, connection)
            }
        }
    }

    // MARK: Frames

    private func handle(
        _ frame: ServerFrame, _ life: inout Life, _ connection: borrowing AMQPConnection
    ) throws(BrokerError) {
        switch frame {
        case .deliver(let channel, let head):
            life.current = channel
            life.assemblers[channel, default: DeliveryAssembler()].begin(head)
        case .content(let bytes, let reason, _):
            let delivery = life.assemblers[life.current]?.content(bytes: bytes, deathReason: reason)
            if let delivery { try self.arrived(delivery, &life, connection) }
        case .body(let bytes):
            let delivery = life.assemblers[life.current]?.body(bytes)
            if let delivery { try self.arrived(delivery, &life, connection) }
        case .reply(let channel):
            if let action = life.session.replied(on: channel) { try self.perform(action, &life, connection) }
        case .channelClosed(let channel, let refusal):
            try connection.send(.channelClosed, on: channel)
            if let action = try life.session.closed(channel, refusal) { try self.perform(action, &life, connection) }
        case .connectionClosed(let refusal):
            throw BrokerError(.lost, "RabbitMQ closed the connection: \(refusal.code) \(refusal.text)")
        case .consumerCancelled(let tag):
            throw BrokerError(.lost, "RabbitMQ ended the consumer \"\(tag)\": its queue was deleted")
        case .acknowledged, .refused, .returned, .blocked, .unblocked, .other: break
        }
    }

    private func arrived(
        _ delivery: Delivery, _ life: inout Life, _ connection: borrowing AMQPConnection
    ) throws(BrokerError) {
        switch delivery.head.consumer {
        case .main, .own:
            self.home.arrived(delivery)
        case .dropped: self.home.wasDropped(delivery)
        case .log: break
        case .normal(let number): return try self.arrived(delivery, forNormal: number, &life, connection)
        }
        if let number = life.acks.add(delivery.head.tag) { try self.acknowledge(number, connection) }
    }

    private func acknowledge(_ number: UInt64, _ connection: borrowing AMQPConnection) throws(BrokerError) {
        try connection.send(.acknowledge(number, multiple: true), on: ConsumeSession.Channel.consume)
    }

    // MARK: Normal channels

    private func arrived(
        _ delivery: Delivery, forNormal number: Int, _ life: inout Life, _ connection: borrowing AMQPConnection
    ) throws(BrokerError) {
        guard life.session.normalNames.indices.contains(number) else { return }
        let channel = life.session.normalNames[number]
        guard let message = self.home.message(of: delivery, on: channel) else {
            // A dead letter: trying it again would change nothing.
            return try connection.send(
                .reject(delivery.head.tag, requeue: false), on: ConsumeSession.Channel.normal)
        }
        let demand = self.home.demand.open(channel)
        if demand > 0 { self.home.demand.grant(channel) }
        let steps = life.normals[channel, default: NormalChannel()].arrived(
            message, delivery.head.tag, demand: demand)
        try self.perform(steps, channel, &life, connection)
    }

    private func update(
        _ channel: ChannelName, _ life: inout Life, _ connection: borrowing AMQPConnection
    ) throws(BrokerError) {
        let steps = life.normals[channel, default: NormalChannel()].update(demand: self.home.demand.open(channel))
        try self.perform(steps, channel, &life, connection)
    }

    private func perform(
        _ steps: [NormalChannel<LayerMessage>.Step], _ channel: ChannelName, _ life: inout Life,
        _ connection: borrowing AMQPConnection
    ) throws(BrokerError) {
        for step in steps {
            switch step {
            case .consume: life.session.consumeNormal(channel)
            case .cancel: life.session.cancelNormal(channel)
            case .barrier: life.session.barrier(channel)
            case .acknowledge(let number):
                // What was asked before it, a cancellation, must be said before it.
                while let action = life.session.next() { try self.perform(action, &life, connection) }
                try connection.send(.acknowledge(number, multiple: false), on: ConsumeSession.Channel.normal)
            case .requeue(let number):
                try connection.send(.reject(number, requeue: true), on: ConsumeSession.Channel.normal)
            }
        }
    }
}
