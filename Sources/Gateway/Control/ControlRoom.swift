import ChannelLayer
import NIOCore
import Synchronization
import Telemetry

/// The gateway among the site's processes: carries out what workers command, answers what they ask, and says that it is
/// there (`ControlMessage`).
final class ControlRoom: Sendable {
    private struct State {
        var ticking: RepeatedTask?
        var census: (@Sendable () -> GatewayCensus?)?
    }

    private let identity: NodeState
    private let layer: any ChannelLayer
    private let shards: [HubShard]
    private let log: BoundedLog
    private let started = NIODeadline.now()
    private let state = Mutex(State())

    /// - Parameters:
    ///   - name: what people call the gateway.
    ///   - control: what hears the group.
    init(
        name: String, version: String, control: ControlPost, layer: any ChannelLayer, shards: [HubShard],
        log: BoundedLog
    ) {
        self.identity = NodeState(uid: control.node, name: name, version: version)
        self.layer = layer
        self.shards = shards
        self.log = log
        for name in ControlMessage.Name.allCases {
            control.handle(name.rawValue) { [weak self] in self?.arrived($0) }
        }
    }

    private var uid: String { self.identity.uid }

    // MARK: Life

    /// - Parameters:
    ///   - runsClock: whether it says by itself again and again that it is there.
    ///   - census: what the gateway holds now; `nil` when it has ended.
    func start(runsClock: Bool, census: @escaping @Sendable () -> GatewayCensus?) {
        let home = runsClock ? self.shards.first?.eventLoop : nil
        let interval = NodeDirectory.interval
        let ticking = home?.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [weak self] _ in
            self?.announce()
        }
        self.state.withLock { ($0.census, $0.ticking) = (census, ticking) }
    }

    /// Says goodbye.
    func stop() {
        self.state.withLock { $0.ticking.take() }?.cancel()
        self.tell(.leave(node: self.uid))
    }

    /// Says that it is there.
    func announce() { self.tell(.announce(self.node)) }

    private func tell(_ message: ControlMessage) {
        self.layer.submit(message.message, toGroup: ControlMessage.group, completion: nil)
    }

    /// The gateway as it is now.
    private var node: NodeState {
        var node = self.identity
        node.uptime = Int((NIODeadline.now() - self.started).nanoseconds / 1_000_000_000)
        guard let census = self.state.withLock({ $0.census })?() else { return node }
        node.clients = census.connections
        node.users = census.users
        node.channels = census.groups
        node.subscriptions = census.subscriptions
        return node
    }

    // MARK: What others say

    private func arrived(_ message: LayerMessage) {
        switch ControlMessage(message) {
        case .command(let command)?: self.onEveryLoop { $0.perform(command) }
        case .ask(let id, let channel, let question)?: self.answer(question, id, to: channel)
        case .announce?, .leave?, .answer?: break
        case nil: self.log.log(.warning, "A control message could not be read and was passed over")
        }
    }

    private func onEveryLoop(_ body: @escaping @Sendable (HubShard) -> Void) {
        for shard in self.shards { shard.eventLoop.execute { body(shard) } }
    }

    // MARK: Questions

    private func answer(_ question: SurveyQuestion, _ id: UInt64, to channel: ChannelName) {
        switch question {
        case .node: self.say(.node(self.node), id, to: channel)
        case .channels(let pattern):
            let pattern = pattern.isEmpty ? nil : CapacityPattern(pattern)
            self.gather(id, to: channel) {
                $0.channelCounts(matching: pattern)
            } answer: {
                .channels($0.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) })
            }
        case .connections(let user):
            self.gatherClients(id, to: channel) { $0.describeConnections(of: user) }
        case .presence(let name):
            guard let group = try? ClientChannel(name).group else { return self.say(.clients([:]), id, to: channel) }
            self.gatherClients(id, to: channel) { $0.describeFollowers(of: group) }
        }
    }

    private func gatherClients(
        _ id: UInt64, to channel: ChannelName, _ part: @escaping @Sendable (HubShard) -> [String: ByteBuffer]
    ) {
        self.gather(id, to: channel, part) { .clients($0.reduce(into: [:]) { $0.merge($1) { one, _ in one } }) }
    }

    /// Asks every loop, and answers with all they say.
    private func gather<Part: Sendable>(
        _ id: UInt64, to channel: ChannelName, _ part: @escaping @Sendable (HubShard) -> Part,
        answer: @escaping @Sendable ([Part]) -> SurveyAnswer
    ) {
        guard let home = self.shards.first?.eventLoop else { return }
        let parts = self.shards.map { shard in shard.eventLoop.submit { part(shard) } }
        EventLoopFuture.whenAllSucceed(parts, on: home).whenSuccess { self.say(answer($0), id, to: channel) }
    }

    private func say(_ answer: SurveyAnswer, _ id: UInt64, to channel: ChannelName) {
        let message = ControlMessage.answer(id: id, node: self.uid, answer).message
        self.layer.submit(message, to: channel) { error in
            guard let error else { return }
            self.log.log(.warning, "A question could not be answered", metadata: [LogKey.error: "\(error)"])
        }
    }
}
