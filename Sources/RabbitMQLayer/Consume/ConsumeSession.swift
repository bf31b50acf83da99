import ChannelLayer

/// What is said on one consuming connection, from the first declaration on. A value without I/O.
///
/// First everything is declared and bound, then consumption begins: so nothing arrives before it can be told whom it is for.
struct ConsumeSession {
    enum Channel {
        /// Declarations and bindings: a refused one closes this AMQP channel and no other.
        static let control: AMQPChannelID = 1
        static let consume: AMQPChannelID = 2
        static let normal: AMQPChannelID = 3
    }

    enum Action: Equatable {
        case send(ClientMethod, AMQPChannelID)
        case satisfied(Need)
        case refused(Need, BrokerError)
        /// Everything that was wanted at the beginning is there, and deliveries come.
        case works
        case claimed(ChannelName)
        case cancelled(ChannelName)
        /// All consumers of normal channels are gone, because of this one's queue, or what it says.
        case normalChannelsEnded(ChannelName?, BrokerError)
    }

    private enum Phase { case declaring, subscribing, working }

    enum Request: Equatable {
        case exchange(ExchangePlan)
        /// The process's own queue, or where its dropped messages go.
        case queue(QueuePlan)
        case ownQueue(QueuePlan, prefix: String)
        case bind(GroupName, exchange: String, isLast: Bool)
        case unbind(GroupName, exchange: String)
        case prefetch(Int)
        case consume(queue: String, ConsumerTag)
        case normalQueue(QueuePlan, ChannelName)
        case consumeNormal(ChannelName, Int)
        case cancelNormal(ChannelName, Int)
        case barrier(ChannelName)
        /// Where dead letters go; a refusal is no trouble.
        case deadLetters(QueuePlan)
    }

    private let topology: Topology
    private let connection: Int
    private let prefetch: Int
    private let user: String
    private let mainQueue: QueuePlan
    private let droppedQueue: QueuePlan
    private var phase = Phase.declaring
    private var control = RequestPipeline<Request>()
    private var consume = RequestPipeline<Request>()
    private var normal = RequestPipeline<Request>()
    /// The prefixes of own queues, by the number in their consumers' tags.
    private var prefixes: [String] = []
    private var normalNumbers: [ChannelName: Int] = [:]
    private(set) var normalNames: [ChannelName] = []
    private var hasNormalSetUp = false
    /// Normal channels whose queues somebody made otherwise: they are used as they are.
    private var foreignQueues: Set<ChannelName> = []
    private var makesDeadLetters = true

    /// - Parameters:
    ///   - connection: a number that no earlier connection of the process had.
    ///   - user: for errors.
    init(_ topology: Topology, connection: Int, prefetch: Int, user: String, needs: [Need]) {
        self.topology = topology
        self.connection = connection
        self.prefetch = prefetch
        self.user = user
        self.mainQueue = topology.mainQueue(connection: connection)
        self.droppedQueue = topology.droppedQueue(connection: connection)
        self.control.ask(.exchange(topology.groups))
        if let plain = topology.plain { self.control.ask(.exchange(plain)) }
        self.control.ask(.queue(self.droppedQueue))
        self.control.ask(.queue(self.mainQueue))
        for need in needs { self.add(need) }
    }

    /// Whether deliveries come.
    var isWorking: Bool { if case .working = self.phase { true } else { false } }

    // MARK: What is wanted

    mutating func add(_ need: Need) {
        switch need {
        case .group(let group):
            if let plain = self.topology.plain {
                self.control.ask(.bind(group, exchange: plain.name, isLast: false))
            }
            self.control.ask(.bind(group, exchange: self.topology.groups.name, isLast: true))
        case .ownQueue(let prefix):
            self.control.ask(
                .ownQueue(self.topology.ownQueue(prefix: prefix, connection: self.connection), prefix: prefix))
        }
    }

    mutating func remove(_ need: Need) {
        // An own queue stays for as long as the connection: its channels' names may be about.
        guard case .group(let group) = need else { return }
        if let plain = self.topology.plain { self.control.ask(.unbind(group, exchange: plain.name)) }
        self.control.ask(.unbind(group, exchange: self.topology.groups.name))
    }

    // MARK: Normal channels

    /// The number of a normal channel in tags.
    private mutating func number(of channel: ChannelName) -> Int {
        if let number = self.normalNumbers[channel] { return number }
        let number = self.normalNames.count
        self.normalNumbers[channel] = number
        self.normalNames.append(channel)
        if !self.hasNormalSetUp {
            self.hasNormalSetUp = true
            self.normal.ask(.prefetch(1))
            if self.makesDeadLetters, let plan = self.topology.deadLetters { self.normal.ask(.deadLetters(plan)) }
        }
        var plan = self.topology.normalQueue(Topology.normalPrefix + channel.text)
        plan.isPassive = self.foreignQueues.contains(channel)
        self.normal.ask(.normalQueue(plan, channel))
        return number
    }

    mutating func consumeNormal(_ channel: ChannelName) {
        let number = self.number(of: channel)
        self.normal.ask(.consumeNormal(channel, number))
    }

    mutating func cancelNormal(_ channel: ChannelName) {
        let number = self.number(of: channel)
        self.normal.ask(.cancelNormal(channel, number))
    }

    mutating func barrier(_ channel: ChannelName) { self.normal.ask(.barrier(channel)) }

    // MARK: Speaking

    /// The next thing to do; `nil` when the broker must answer first.
    mutating func next() -> Action? {
        if let step = self.control.next() { return self.action(step, Channel.control) }
        if let step = self.consume.next() { return self.action(step, Channel.consume) }
        if let step = self.normal.next() { return self.action(step, Channel.normal) }
        switch self.phase {
        case .declaring where self.control.isIdle:
            self.phase = .subscribing
            self.consume.ask(.prefetch(self.prefetch))
            self.consume.ask(.consume(queue: self.mainQueue.name, .main))
            self.consume.ask(.consume(queue: self.droppedQueue.name, .dropped))
            return self.next()
        case .subscribing where self.consume.isIdle:
            self.phase = .working
            return .works
        default: return nil
        }
    }

    private func action(_ step: RequestPipeline<Request>.Step, _ channel: AMQPChannelID) -> Action {
        switch step {
        case .open: .send(.openChannel, channel)
        case .request(let request): .send(self.method(request), channel)
        }
    }

    private func method(_ request: Request) -> ClientMethod {
        switch request {
        case .exchange(let plan): .declareExchange(plan)
        case .queue(let plan), .ownQueue(let plan, _), .normalQueue(let plan, _), .deadLetters(let plan):
            .declareQueue(plan)
        case .bind(let group, let exchange, _):
            .bind(queue: self.mainQueue.name, exchange: exchange, key: group.text)
        case .unbind(let group, let exchange):
            .unbind(queue: self.mainQueue.name, exchange: exchange, key: group.text)
        case .prefetch(let count): .prefetch(UInt16(clamping: count))
        case .barrier: .prefetch(1)
        case .consume(let queue, let tag): .consume(queue: queue, tag: tag.text, acknowledges: true)
        case .consumeNormal(let channel, let number):
            .consume(
                queue: Topology.normalPrefix + channel.text, tag: ConsumerTag.normal(number).text, acknowledges: true)
        case .cancelNormal(_, let number): .cancel(tag: ConsumerTag.normal(number).text)
        }
    }

    // MARK: Hearing

    mutating func replied(on channel: AMQPChannelID) -> Action? {
        let request: Request?
        switch channel {
        case Channel.control: request = self.control.replied()
        case Channel.consume: request = self.consume.replied()
        default: request = self.normal.replied()
        }
        switch request {
        case .bind(let group, _, isLast: true): return .satisfied(.group(group))
        case .ownQueue(let plan, let prefix):
            self.consume.ask(.consume(queue: plan.name, .own(self.prefixes.count)))
            self.prefixes.append(prefix)
            return .satisfied(.ownQueue(prefix: prefix))
        case .barrier(let channel): return .claimed(channel)
        case .cancelNormal(let channel, _): return .cancelled(channel)
        default: return nil
        }
    }

    /// The broker closed an AMQP channel.
    ///
    /// - Throws: when nothing works any more.
    mutating func closed(_ channel: AMQPChannelID, _ refusal: BrokerRefusal) throws(BrokerError) -> Action? {
        if channel == Channel.normal { return self.normalClosed(refusal) }
        let request = channel == Channel.control ? self.control.refused() : self.consume.refused()
        let error = self.error(refusal, request)
        switch request {
        case .bind(let group, _, let isLast) where self.isWorking || refusal.code == 403:
            // Its second binding, if that is on its way, is of no use alone; it is taken back with the group's end.
            if !isLast, refusal.code != 403 { throw error }
            return .refused(.group(group), error)
        case .unbind: return nil
        case .ownQueue(_, let prefix): return .refused(.ownQueue(prefix: prefix), error)
        default: throw error
        }
    }

    /// Everything about normal channels begins anew, with what was learned from the refusal.
    private mutating func normalClosed(_ refusal: BrokerRefusal) -> Action {
        let request = self.normal.refused()
        let error = self.error(refusal, request)
        self.normal = RequestPipeline()
        self.normalNumbers = [:]
        self.normalNames = []
        self.hasNormalSetUp = false
        switch request {
        case .deadLetters: self.makesDeadLetters = false
        case .normalQueue(let plan, let channel) where refusal.code == 406 && !plan.isPassive:
            self.foreignQueues.insert(channel)
        case .normalQueue(_, let channel), .consumeNormal(let channel, _):
            return .normalChannelsEnded(channel, error)
        default: break
        }
        return .normalChannelsEnded(nil, error)
    }

    private func error(_ refusal: BrokerRefusal, _ request: Request?) -> BrokerError {
        func error(
            _ what: String, _ permission: BrokerRefusal.Permission, _ setting: String? = nil
        ) -> BrokerError {
            refusal.of(what, needs: permission, user: self.user, setting: setting)
        }
        switch request {
        case .exchange(let plan):
            let setting = plan == self.topology.groups ? "config.groups_exchange" : "config.publish_exchange"
            return error("declare the exchange \"\(plan.name)\"", .configure, setting)
        case .queue(let plan), .ownQueue(let plan, _), .normalQueue(let plan, _), .deadLetters(let plan):
            return error("make the queue \"\(plan.name)\"", .configure)
        case .bind(let group, let exchange, _), .unbind(let group, let exchange):
            return error("bind a queue to \"\(group)\" at the exchange \"\(exchange)\"", .read)
        case .consume(let queue, _): return error("read the queue \"\(queue)\"", .read)
        case .consumeNormal(let channel, _), .cancelNormal(let channel, _):
            return error("read the queue of \"\(channel)\"", .read)
        case .prefetch, .barrier, nil:
            return BrokerError(.lost, "RabbitMQ closed an AMQP channel: \(refusal.code) \(refusal.text)")
        }
    }
}
