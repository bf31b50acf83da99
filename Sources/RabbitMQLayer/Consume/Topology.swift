/// What this process has in the broker, by name, and how it is declared.
struct Topology: Sendable {
    let groups: ExchangePlan
    let plain: ExchangePlan?
    private let messageLife: Int64?
    private let remoteCapacity: Int?
    private let overflow: RabbitMQConfiguration.Overflow
    private let deadLetterQueue: String?
    private let deliveryLimit: Int
    /// What the names of all of this process's queues hold.
    let process: String

    /// The log of publications that are kept.
    let log: QueuePlan

    static let normalPrefix = "carillon.channel."

    /// - Parameter process: random, of the characters a channel's name may have.
    init(_ configuration: RabbitMQConfiguration, process: String) {
        self.groups = ExchangePlan(name: configuration.groupsExchange, kind: .direct, isDurable: false)
        self.plain = configuration.publishExchange.map { ExchangePlan(name: $0, kind: .topic, isDurable: true) }
        self.messageLife = configuration.messageLife
        self.remoteCapacity = configuration.remoteCapacity
        self.overflow = configuration.overflow
        self.deadLetterQueue = configuration.deadLetterQueue
        self.deliveryLimit = configuration.deliveryLimit
        self.process = process
        self.log = QueuePlan(
            name: configuration.historyLog,
            stream: .init(
                bytes: configuration.historyLogBytes, segmentBytes: max(1 << 20, configuration.historyLogBytes / 8)),
            isExclusive: false)
    }

    /// The process's own queue, which all its groups are bound to. Each connection has a new one: the broker may not know
    /// yet that the old connection is gone, and its queue belongs to it alone.
    func mainQueue(connection: Int) -> QueuePlan {
        self.ownQueue(
            named: "carillon.\(self.process).\(connection)", dropped: self.droppedQueue(connection: connection).name)
    }

    /// The queue of the process's channels whose names begin with `prefix`. Its name is a part of theirs and stays.
    func ownQueue(prefix: String, connection: Int) -> QueuePlan {
        self.ownQueue(named: "\(prefix).\(self.process)", dropped: self.droppedQueue(connection: connection).name)
    }

    /// Where the broker puts what it drops from those, so that it is counted.
    func droppedQueue(connection: Int) -> QueuePlan {
        QueuePlan(name: "carillon.\(self.process).\(connection).dropped", messageLife: 60_000, maximumLength: 10_000)
    }

    private func ownQueue(named name: String, dropped: String) -> QueuePlan {
        QueuePlan(
            name: name, messageLife: self.messageLife, maximumLength: self.remoteCapacity,
            overflow: self.overflow == .refuse ? .rejectPublish : .dropHead, deadLetters: dropped)
    }

    /// The queue of a normal channel, by the queue's name.
    func normalQueue(_ name: String) -> QueuePlan {
        QueuePlan(
            name: name, isExclusive: false, messageLife: self.messageLife, maximumLength: self.remoteCapacity,
            overflow: .rejectPublish, deadLetters: self.deadLetterQueue, deliveryLimit: self.deliveryLimit)
    }

    /// Where messages of normal channels end that could not be delivered.
    var deadLetters: QueuePlan? {
        self.deadLetterQueue.map { QueuePlan(name: $0, isExclusive: false, maximumLength: 10_000) }
    }
}
