import ChannelLayer
import Logging
import NIOCore
import Synchronization

/// A Redis Cluster: topics live on the masters of their slots (`SPUBLISH`, `SSUBSCRIBE`, Redis 7).
///
/// The map of slots is learned from any node, and anew when a node says that a slot moved, when a connection is lost, and
/// every two seconds, because a master that fell silent says nothing. Subscriptions follow their slots; until they are
/// confirmed at the new place the gap is told.
final class RedisCluster: RedisPubSubTransport {
    typealias Address = RedisEndpoint.Address

    private struct Outgoing: Sendable {
        let command: RedisCommand
        let slot: Int
        let completion: @Sendable (Result<RedisReply, RedisError>) -> Void
        /// How often it was sent back.
        var returns = 0
    }

    private struct Node {
        /// For its gaps.
        let number: Int
        let publisher: RedisClient
        let subscriber: RedisSubscriber
    }

    private struct State {
        var traffic: RedisSlotTraffic<Outgoing>
        var nodes: [Address: Node] = [:]
        var lastNumber = 0
        /// Where each wanted topic is subscribed.
        var places: [RedisTopic: Address] = [:]
        /// Those that were confirmed anywhere: when they move, messages may be missed.
        var confirmed: Set<RedisTopic> = []
        /// Topics on their way to another node.
        var moves = 0
        var isAsking = false
        var isClosed = false
    }

    private let seeds: [RedisEndpoint]
    private let options: RedisClientOptions
    private let loops: any EventLoopGroup
    private let home: any EventLoop
    private let logger: Logger
    private let gaps: RedisGaps
    private let receiver: any RedisPubSubReceiver
    private let state: Mutex<State>

    /// How often something is sent to where the last node said.
    private static let mostReturns = 5
    /// Publications that may be held back while slots move.
    private static let mostHeld = 100_000
    /// The number of the gap that lasts while topics are on their way.
    private static let moving = -1
    /// Before a topic is tried again at its new node.
    private static let pause = TimeAmount.milliseconds(200)
    private static let closed = RedisError(.closed, "the client was closed")

    /// - Parameter seeds: at least one, with TCP addresses; passwords and TLS of the first are used for all nodes.
    init(
        _ seeds: [RedisEndpoint], options: RedisClientOptions, loops: any EventLoopGroup, logger: Logger,
        receiver: any RedisPubSubReceiver
    ) {
        self.seeds = seeds.isEmpty ? [.local] : seeds
        self.options = options
        self.loops = loops
        self.home = loops.next()
        self.logger = logger
        self.receiver = receiver
        self.gaps = RedisGaps(receiver)
        self.state = Mutex(State(traffic: RedisSlotTraffic(first: Self.address(of: self.seeds[0]))))
        self.ask()
        self.askAgainLater()
    }

    private static func address(of seed: RedisEndpoint) -> Address {
        guard case .server(let address) = seed.place else { return .tcp(host: "localhost", port: 6_379) }
        return address
    }

    // MARK: Nodes

    /// The node at an address, made when it is new. Called under the lock.
    private func node(_ address: Address, _ state: inout State) -> Node {
        if let node = state.nodes[address] { return node }
        var endpoint = self.seeds.first { Self.address(of: $0) == address } ?? self.seeds[0]
        endpoint.place = .server(address)
        // A cluster has only this one.
        endpoint.database = 0
        state.lastNumber += 1
        let number = state.lastNumber
        let node = Node(
            number: number,
            publisher: RedisClient(endpoint, options: self.options, eventLoop: self.loops.next(), logger: self.logger),
            subscriber: RedisSubscriber(
                endpoint, .sharded, options: self.options, eventLoop: self.loops.next(), logger: self.logger,
                onEvent: { [weak self] in self?.heard($0, number, address) },
                onMessage: { [receiver = self.receiver] in receiver.arrived($0, on: $1) }))
        state.nodes[address] = node
        return node
    }

    private func heard(_ event: RedisSubscriberEvent, _ number: Int, _ address: Address) {
        switch event {
        case .lost(let error):
            self.gaps.begin(number, error)
            self.ask()
        case .restored: self.gaps.end(number)
        case .failed: self.ask()
        case .moved(let topic):
            self.gaps.begin(Self.moving, RedisError(.unavailable, "the cluster moved a subscription"))
            self.move(topic, from: address, RedisError(.moved, ""))
        case .refused(let topic, let error, let isNew):
            // Whoever waits for a new one looks elsewhere himself.
            guard error.code == .moved, !isNew else { return }
            // One that was never confirmed there, or is confirmed elsewhere by now, missed nothing.
            let isMissed = self.state.withLock { $0.confirmed.contains(topic) && $0.places[topic] == address }
            if isMissed { self.gaps.begin(Self.moving, error) }
            self.move(topic, from: address, error)
        }
    }

    // MARK: Publishing

    var isSharded: Bool { true }

    func publish(
        _ command: RedisCommand, to topic: RedisTopic, completion: @escaping @Sendable (LayerError?) -> Void
    ) {
        self.run(command, on: topic) { result in
            if case .failure(let error) = result { completion(error.layerError) } else { completion(nil) }
        }
    }

    func run(
        _ command: RedisCommand, on topic: RedisTopic,
        completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
    ) {
        self.send([Outgoing(command: command, slot: RedisSlot.of(topic.name), completion: completion)])
    }

    private func send(_ all: [Outgoing]) {
        let refused = self.state.withLock { state in
            all.compactMap { outgoing in self.send(outgoing, &state).map { (outgoing, $0) } }
        }
        for (outgoing, error) in refused { outgoing.completion(.failure(error)) }
    }

    /// Within the lock, so that nothing overtakes what was held back.
    private func send(_ outgoing: Outgoing, _ state: inout State) -> RedisError? {
        guard !state.isClosed else { return Self.closed }
        guard state.traffic.held < Self.mostHeld else {
            return RedisError(.tooManyWaiting, "too many messages wait for slots that move")
        }
        guard let address = state.traffic.send(outgoing, in: outgoing.slot) else { return nil }
        let refusal = self.node(address, &state).publisher.offer(outgoing.command) { result in
            self.answered(outgoing, from: address, result)
        }
        // Nothing is held behind it: then it would have been held itself.
        if refusal != nil { _ = state.traffic.answered(in: outgoing.slot, returned: nil) }
        return refusal
    }

    private func answered(_ outgoing: Outgoing, from address: Address, _ result: Result<RedisReply, RedisError>) {
        var returned: Outgoing?
        if case .failure(let error) = result, error.code == .moved, outgoing.returns < Self.mostReturns,
            let target = RedisTopology.moved(error, from: address)
        {
            returned = outgoing
            returned?.returns += 1
            self.state.withLock { $0.traffic.setOwner(of: outgoing.slot, target) }
            self.ask()
        }
        let refused = self.state.withLock { state in
            state.traffic.answered(in: outgoing.slot, returned: returned)
                .compactMap { outgoing in self.send(outgoing, &state).map { (outgoing, $0) } }
        }
        for (outgoing, error) in refused { outgoing.completion(.failure(error)) }
        if returned == nil { outgoing.completion(result) }
    }

    // MARK: Subscribing

    func subscribe(_ topic: RedisTopic, ready: @escaping @Sendable (RedisError?) -> Void) {
        let isClosed = self.state.withLock { state in
            guard !state.isClosed else { return true }
            let address = state.places[topic] ?? state.traffic.owner(of: RedisSlot.of(topic.name))
            self.place(topic, at: address, &state, tries: 0, ready)
            return false
        }
        if isClosed { self.home.execute { ready(Self.closed) } }
    }

    func unsubscribe(_ topic: RedisTopic) {
        self.state.withLock { state in
            state.confirmed.remove(topic)
            guard let address = state.places.removeValue(forKey: topic) else { return }
            state.nodes[address]?.subscriber.unsubscribe(topic)
        }
    }

    /// Subscribes at a node; where that says that the slot is elsewhere, there.
    private func place(
        _ topic: RedisTopic, at address: Address, _ state: inout State, tries: Int,
        _ ready: @escaping @Sendable (RedisError?) -> Void
    ) {
        state.places[topic] = address
        self.node(address, &state).subscriber.subscribe(topic) { error in
            guard let error else {
                self.state.withLock { state in if state.places[topic] != nil { state.confirmed.insert(topic) } }
                return ready(nil)
            }
            let isElsewhere = self.state.withLock { state in
                guard !state.isClosed, let place = state.places[topic], tries < Self.mostReturns else { return false }
                if place == address {
                    guard let target = RedisTopology.moved(error, from: address), target != address else {
                        return false
                    }
                    state.traffic.setOwner(of: RedisSlot.of(topic.name), target)
                    self.place(topic, at: target, &state, tries: tries + 1, ready)
                } else {
                    // Somebody moved it meanwhile: wait there.
                    self.place(topic, at: place, &state, tries: tries + 1, ready)
                }
                return true
            }
            if !isElsewhere { ready(error) }
        }
    }

    /// A node no longer serves a topic's slot.
    private func move(_ topic: RedisTopic, from address: Address, _ error: RedisError) {
        self.state.withLock { state in
            guard !state.isClosed, state.places[topic] == address else { return }
            let slot = RedisSlot.of(topic.name)
            if let target = RedisTopology.moved(error, from: address) { state.traffic.setOwner(of: slot, target) }
            state.nodes[address]?.subscriber.unsubscribe(topic)
            // The old node itself says where the slot went, when that is not known yet.
            self.move(topic, to: state.traffic.owner(of: slot), &state)
        }
        self.ask()
    }

    private func move(_ topic: RedisTopic, to address: Address, _ state: inout State) {
        state.moves += 1
        self.place(topic, at: address, &state, tries: 0) { error in
            guard error == nil else {
                self.home.scheduleTask(in: Self.pause) { self.moved(topic, again: true) }
                return
            }
            self.moved(topic, again: false)
        }
    }

    /// A topic arrived at another node, or did not and must be tried again.
    private func moved(_ topic: RedisTopic, again: Bool) {
        let isLast = self.state.withLock { state in
            state.moves -= 1
            if again, !state.isClosed, let address = state.places[topic] { self.move(topic, to: address, &state) }
            return state.moves == 0
        }
        if isLast { self.gaps.end(Self.moving) }
    }

    /// Not known here: what is published takes its way over many connections.
    func settle() async {}

    // MARK: The map of slots

    /// Asks for the map, one node after the other until one answers.
    private func ask() {
        let candidates = self.state.withLock { state -> [Address] in
            guard !state.isAsking, !state.isClosed else { return [] }
            state.isAsking = true
            let known = Array(state.nodes.keys)
            return known.shuffled() + self.seeds.map(Self.address).filter { !known.contains($0) }
        }
        if !candidates.isEmpty { self.ask(candidates[...]) }
    }

    private func ask(_ candidates: ArraySlice<Address>) {
        guard let address = candidates.first else { return self.state.withLock { $0.isAsking = false } }
        let publisher = self.state.withLock { state in
            state.isClosed ? nil : self.node(address, &state).publisher
        }
        var question = RedisCommand("CLUSTER")
        question.append("SLOTS" as StaticString)
        publisher?.send(question, timeLimit: .seconds(2)) { result in
            if case .success(let reply) = result, let topology = RedisTopology(reply, from: address) {
                self.apply(topology)
                self.state.withLock { $0.isAsking = false }
            } else {
                self.ask(candidates.dropFirst())
            }
        }
    }

    private func askAgainLater() {
        self.home.scheduleTask(in: .milliseconds(.random(in: 1_500...2_000))) { [weak self] in
            guard let self, !self.state.withLock({ $0.isClosed }) else { return }
            self.ask()
            self.askAgainLater()
        }
    }

    private func apply(_ topology: RedisTopology) {
        let (unused, isMissed) = self.state.withLock { state -> ([Node], Bool) in
            guard !state.isClosed else { return ([], false) }
            for range in topology.ranges {
                for slot in range.slots { state.traffic.setOwner(of: slot, range.master) }
            }
            let isMissed = state.confirmed.contains {
                state.places[$0] != state.traffic.owner(of: RedisSlot.of($0.name))
            }
            return (self.unused(topology, &state), isMissed)
        }
        if isMissed {
            self.gaps.begin(Self.moving, RedisError(.unavailable, "slots of the cluster moved to other nodes"))
        }
        self.movePlaces()
        for node in unused {
            self.gaps.end(node.number)
            // No child of anything: this is no asynchronous call, and nothing depends on when the connections have closed.
            Task {
                // Closing fails what it still owes, so that what is held behind that goes on.
                await node.publisher.close()
                await node.subscriber.close()
            }
        }
    }

    /// Nodes that own nothing any more, taken out, except those we begin with.
    private func unused(_ topology: RedisTopology, _ state: inout State) -> [Node] {
        let masters = Set(topology.ranges.map(\.master))
        let gone = state.nodes.keys.filter { !masters.contains($0) }
        return gone.compactMap { state.nodes.removeValue(forKey: $0) }
    }

    /// Subscribes every topic where its slot is now.
    private func movePlaces() {
        let isLast = self.state.withLock { state in
            for (topic, place) in state.places {
                let owner = state.traffic.owner(of: RedisSlot.of(topic.name))
                guard owner != place else { continue }
                state.nodes[place]?.subscriber.unsubscribe(topic)
                self.move(topic, to: owner, &state)
            }
            return state.moves == 0
        }
        if isLast { self.gaps.end(Self.moving) }
    }

    // MARK: The end

    func close() async {
        let (nodes, held) = self.state.withLock { state -> ([Node], [Outgoing]) in
            guard !state.isClosed else { return ([], []) }
            state.isClosed = true
            defer {
                state.nodes = [:]
                state.places = [:]
            }
            return (Array(state.nodes.values), state.traffic.takeHeld())
        }
        for outgoing in held { outgoing.completion(.failure(Self.closed)) }
        for node in nodes {
            await node.subscriber.close()
            await node.publisher.close()
        }
    }
}
