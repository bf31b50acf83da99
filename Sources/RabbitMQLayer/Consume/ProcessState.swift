import ChannelLayer
import JSON
import Logging
import NIOCore
import Synchronization

/// What the consuming thread and everybody else share: what is wanted, who listens, and the part of the layer that is in
/// this process, which is a memory layer.
final class ProcessState: Sendable {
    let local: MemoryLayer
    let demand = Demand()
    let waker = Waker()
    /// Set once, before anything arrives.
    private let logBox = Mutex<GroupLog?>(nil)
    private let needs = Mutex(Needs())
    private let hasLostBindings = Atomic(false)
    private let feeds = Mutex<[ObjectIdentifier: RabbitMQFeed]>([:])
    private let outbox: Outbox
    private let configuration: RabbitMQConfiguration
    private let observer: (any LayerObserver)?

    init(_ configuration: RabbitMQConfiguration, outbox: Outbox, observer: (any LayerObserver)?) {
        self.configuration = configuration
        self.local = MemoryLayer(configuration: configuration.limits, observer: observer)
        self.outbox = outbox
        self.observer = observer
    }

    private var log: GroupLog? { self.logBox.withLock { $0 } }

    func use(_ log: GroupLog) { self.logBox.withLock { $0 = log } }

    var isClosed: Bool { self.needs.withLock { $0.isClosed } }

    // MARK: What is wanted

    func want(_ need: Need, by holder: NeedHolder, _ waiter: @escaping Needs.Waiter) {
        let deadline = ContinuousClock.now + self.configuration.timeout
        let (answer, mustWake) = self.needs.withLock { $0.want(need, by: holder, until: deadline, waiter) }
        if mustWake { self.waker.wake() }
        if let answer { answer.waiter(answer.error) }
    }

    func release(_ need: Need, by holder: NeedHolder) {
        if self.needs.withLock({ $0.release(need, by: holder) }) { self.waker.wake() }
    }

    func release(_ holder: NeedHolder, _ needs: Set<Need>) {
        if self.needs.withLock({ $0.release(holder, needs) }) { self.waker.wake() }
    }

    /// How much is wanted, for tests of what is let go.
    var needCount: Int { self.needs.withLock { $0.count } }

    /// Somebody deleted the exchange of the groups, and all bindings went with it, of which the broker tells nobody.
    func lostBindings() {
        self.hasLostBindings.store(true, ordering: .releasing)
        self.waker.wake()
    }

    /// Whether that happened since the last call.
    func takeLostBindings() -> Bool { self.hasLostBindings.exchange(false, ordering: .acquiring) }

    // MARK: Feeds

    func add(_ feed: RabbitMQFeed) { self.feeds.withLock { $0[ObjectIdentifier(feed)] = feed } }

    func forget(_ feed: RabbitMQFeed) { self.feeds.withLock { $0[ObjectIdentifier(feed)] = nil } }

    private var allFeeds: [RabbitMQFeed] { self.feeds.withLock { Array($0.values) } }

    // MARK: From the consuming thread

    /// A new connection: everything that is wanted.
    func connected() -> [Need] { self.needs.withLock { $0.connected() } }

    func takeChanges() -> [Needs.Change] { self.needs.withLock { $0.takeChanges() } }

    func satisfied(_ need: Need) { self.answer(self.needs.withLock { $0.satisfied(need) }) }

    func refused(_ need: Need, _ error: LayerError) { self.answer(self.needs.withLock { $0.refused(need, error) }) }

    func works() {
        self.needs.withLock { $0.works() }
        for feed in self.allFeeds { feed.restored() }
    }

    func lost(_ error: LayerError) {
        self.needs.withLock { $0.lost(error) }
        for feed in self.allFeeds { feed.interrupted(error) }
        self.tick(.now)
    }

    /// Who has waited too long, here and for the publishing thread.
    func tick(_ now: ContinuousClock.Instant) {
        self.answer(self.needs.withLock { $0.expire(now) })
        self.outbox.expire(now)
    }

    private func answer(_ answers: [Needs.Answer]) {
        for (waiter, error) in answers { waiter(error) }
    }

    // MARK: Messages

    func arrived(_ delivery: DeliveryAssembler.Delivery) {
        switch self.arrival(delivery, name: self.configuration.groupsExchange) {
        case .group(let group, let message)?:
            // It came by the log already, or will.
            if let position = message.position, let log = self.log, !log.takesCopy(position, of: group) { return }
            if !self.local.deliver(message, toGroup: group) { self.forgetIfEmpty(group) }
        case .channel(let channel, let message)?: self.deliver(message, to: channel)
        case nil: break
        }
    }

    func deliver(_ message: LayerMessage, to channel: ChannelName) {
        self.local.submit(message, to: channel, completion: nil)
    }

    /// A message from a normal channel's queue; `nil`, and counted, when it is none.
    func message(of delivery: DeliveryAssembler.Delivery, on channel: ChannelName) -> LayerMessage? {
        switch self.arrival(delivery, name: channel.text) {
        case .group(_, let message)?, .channel(_, let message)?: message
        case nil: nil
        }
    }

    /// The broker dropped a message that was for this process.
    func wasDropped(_ delivery: DeliveryAssembler.Delivery) {
        let name: String
        switch try? Arrival(messagePack: delivery.body) {
        case .group(let group, _)?: name = group.text
        case .channel(let channel, _)?: name = channel.text
        case nil: name = self.configuration.publishExchange ?? self.configuration.groupsExchange
        }
        self.observer?.dropped(delivery.deathReason == "expired" ? .expired : .overCapacity, name: name, count: 1)
    }

    private func arrival(_ delivery: DeliveryAssembler.Delivery, name: String) -> Arrival? {
        if let key = delivery.head.plainKey {
            if let arrival = try? Arrival(json: delivery.body, key: key) { return arrival }
            self.observer?.dropped(.undecodable, name: key, count: 1)
            return nil
        }
        if let arrival = try? Arrival(messagePack: delivery.body) { return arrival }
        self.observer?.dropped(.undecodable, name: name, count: 1)
        return nil
    }

    /// The last member's time was over, or it left while the message was on its way.
    private func forgetIfEmpty(_ group: GroupName) {
        self.needs.withLock { needs in
            // Members are entered before they are wanted: who came meanwhile is seen.
            if !self.local.hasMembers(group) { needs.releaseChannels(of: group) }
        }
    }

    // MARK: The end

    func close() async {
        await self.local.close()
        let feeds = self.feeds.withLock { feeds in
            defer { feeds = [:] }
            return Array(feeds.values)
        }
        for feed in feeds { feed.end() }
        self.end()
    }

    /// Answers who waits, and ends the consuming thread.
    func end() {
        self.answer(self.needs.withLock { $0.close() })
        self.waker.wake()
    }
}
