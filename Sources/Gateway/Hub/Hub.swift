package import ChannelLayer
import NIOCore
import Synchronization
import Telemetry

/// Fans out what arrives from the layer: one arrival per gateway, one frame per rules and wire, one hand-over per event
/// loop, one write per socket and loop turn.
///
/// See docs/design.md, "A message's way".
package final class Hub: GroupFeedListener {
    let shards: [HubShard]
    private let audiences: Audiences
    private let frames: FrameBuilder
    private let metrics: GatewayMetrics
    /// What `Form.ruleSet` counts: these, then the pushes.
    private let ruleSets: [RuleSet]
    private let pushes: [ChannelPush]
    private let control: ControlPost
    private let log: BoundedLog
    /// Open while browsers move to another gateway, or come from one.
    let tap = HubTap()
    /// Counts each time the layer was lost, and each time it came back.
    let interruptions = Atomic(0)
    private let reader: StreamReader?
    private let bridge: GroupBridge?
    /// Seconds after which a stream is compared with the store's.
    private let checkInterval: Int
    private let second = Atomic<Int>(0)

    init(
        eventLoops: [any EventLoop], ruleSets: [RuleSet], pushes: [ChannelPush], frames: FrameBuilder, slice: Int,
        control: ControlPost, metrics: GatewayMetrics, log: BoundedLog, store: (any GroupStore)? = nil,
        bridge: GroupBridge? = nil, checkInterval: Int = 40
    ) {
        self.bridge = bridge
        self.audiences = Audiences()
        self.reader = store.map { StreamReader($0) }
        self.checkInterval = max(checkInterval, 1)
        self.ruleSets = ruleSets
        self.pushes = pushes
        self.frames = frames
        self.control = control
        self.metrics = metrics
        self.log = log
        let audiences = self.audiences
        self.shards = eventLoops.map {
            HubShard(eventLoop: $0, audiences: audiences, bridge: bridge, slice: slice, metrics: metrics)
        }
    }

    /// Connects the hub to a layer. Called once, before the first browser.
    ///
    /// - Parameters:
    ///   - runsClock: whether seconds pass by themselves; if not, `passSecond` makes them.
    ///   - observer: told when the first follower of a group comes, and when the last one has gone.
    ///   - heard: called when the site's other processes are heard, too.
    package func start(
        on layer: any ChannelLayer, runsClock: Bool = true,
        observer: (@Sendable (GroupName, Bool) -> Void)? = nil, heard: @escaping @Sendable () -> Void = {}
    ) {
        guard let home = self.shards.first?.eventLoop else { return }
        let keeper = FeedKeeper(feed: layer.openFeed(self), home: home, observer: observer)
        for shard in self.shards { shard.start(with: keeper, runsClock: runsClock) }
        if let first = self.shards.first {
            first.hear(self.control.groups) {
                first.hears.store(true, ordering: .relaxed)
                heard()
            }
        }
        if let always = self.bridge?.beginAlways(), !always.isEmpty { self.shards.first?.hear(always) {} }
        guard self.reader != nil, let first = self.shards.first else { return }
        home.execute { first.everySecond = { [weak self] in self?.checkSome() } }
    }

    /// Moves the time of pings, limits and timeouts on by one second.
    package func passSecond() async throws {
        for shard in self.shards { try await shard.eventLoop.submit { shard.tick() }.get() }
    }

    /// Hears nothing more.
    package func stop() {
        for shard in self.shards { shard.stop() }
    }

    /// Whether other gateways are heard.
    var hearsControl: Bool { self.shards.first?.hears.load(ordering: .relaxed) == true }

    package func arrived(_ message: LayerMessage, in group: GroupName) {
        // What gateways tell each other is for no browser, and no takeover's business.
        if self.tap.isInUse, self.control.groups.contains(group) { return self.control.arrived(message) }
        guard let bridge = self.bridge else { return self.pass(message, in: group) }
        let meaning = bridge.look(at: message, in: group)
        self.pass(message, in: meaning.home ?? group)
        for channel in meaning.channels { self.pass(message, in: channel) }
    }

    private func pass(_ message: LayerMessage, in group: GroupName) {
        self.tap.pass(message, in: group) { self.deliver($0, in: $1) }
    }

    /// Gives a message to all who follow its group here.
    func deliver(_ message: LayerMessage, in group: GroupName) {
        guard let audience = self.audiences[group] else { return self.control.arrived(message) }
        self.metrics.publications.increment()
        // Told also where nobody is watched yet: who is just joining holds what comes, and must know what it has read already.
        let place = message.type == LayerMessage.publicationType ? message.position : nil
        let offset = place?.offset ?? 0
        var unordered: Audience.State?
        let reads = audience.state.withLock { state -> [StreamPosition] in
            if state.hearsCommands, let notice = ChannelNotice(message) {
                for list in state.lists { list.inbox.put(Delivery(list: list, frame: .notice(notice))) }
                return []
            }
            guard state.continuity != nil, let place else {
                if state.base == nil {
                    unordered = state
                } else {
                    self.deliver(message, offset: offset, to: &state, in: group)
                }
                return []
            }
            let actions = state.continuity?.arrived(message, at: place) ?? []
            return self.perform(actions, &state, group)
        }
        if var unordered { self.deliver(message, offset: offset, to: &unordered, in: group) }
        for since in reads { self.repair(audience, since: since) }
    }

    private func deliver(
        _ message: LayerMessage, offset: UInt64, to audience: inout Audience.State, in group: GroupName
    ) {
        let hearers = self.bridge?.hearers(of: message, in: group) ?? .all
        guard let first = audience.lists.first(where: { self.belongs($0, to: hearers) }) else { return }
        let number = audience.number
        let step = hearers == .routes ? nil : self.advance(&audience, with: message)
        var form = first.form
        var outcome = self.outcome(for: message, in: group, by: form, number: number)
        var frame = self.frames.frame(for: outcome, on: form.wire)
        var patch = step.flatMap { self.patch($0, in: group, as: form, number: number) }
        var tags: [String: String]?
        self.noteDrop(outcome, message, group)
        for list in audience.lists {
            guard self.belongs(list, to: hearers) else { continue }
            if !list.form.isSame(as: form) {
                if !list.form.hasSameOutcome(as: form) {
                    outcome = self.outcome(for: message, in: group, by: list.form, number: number)
                    self.noteDrop(outcome, message, group)
                }
                form = list.form
                frame = self.frames.frame(for: outcome, on: form.wire)
                patch = step.flatMap { self.patch($0, in: group, as: form, number: number) }
            }
            guard let frame else { continue }
            if let filter = list.filter, !message.isJoinOrLeave {
                let known = tags ?? message.publicationTags
                tags = known
                guard filter.matches(known) else {
                    if offset > 0 { list.inbox.put(Delivery(list: list, frame: .bytes(ByteBuffer()), offset: offset)) }
                    continue
                }
            }
            let key = list.slowReaders == .disconnect ? nil : self.key(of: message, by: list.form)
            list.inbox.put(
                Delivery(list: list, frame: frame, offset: offset, key: key, patch: patch, isBase: step != nil))
        }
    }

    private func belongs(_ list: FollowerList, to hearers: GroupBridge.Hearers) -> Bool {
        hearers == .all || (hearers == .channels) == (list.form.ruleSet >= self.ruleSets.count)
    }

    /// A publication beside the one before it.
    private struct DeltaStep {
        let push: ChannelPush
        let publication: ClientPublication
        let step: DeltaBase.Step
    }

    /// Makes a publication what the next patch is for, where somebody wants patches; `nil` for what is no publication.
    private func advance(_ audience: inout Audience.State, with message: LayerMessage) -> DeltaStep? {
        guard audience.base != nil, !message.isJoinOrLeave,
            let first = audience.lists.first(where: { $0.form.client.contains(.delta) }),
            let push = self.push(of: first.form),
            let publication = try? ClientPublication(message, dataKey: push.dataKey),
            let step = audience.base?.advance(to: publication.data, isWanted: push.wantsPatch(of: message))
        else { return nil }
        return DeltaStep(push: push, publication: publication, step: step)
    }

    /// The frame of a patch for those of a form who take patches; `nil` where they get the publication whole.
    private func patch(_ delta: DeltaStep, in group: GroupName, as form: Form, number: Int64) -> ByteBuffer? {
        guard form.client.contains(.delta), let patch = delta.step.patch(form.client.codec) else { return nil }
        let outcome = delta.push.outcome(
            for: delta.publication, patch: patch, in: group, as: form.client, number: number)
        guard case .bytes(let bytes)? = self.frames.frame(for: outcome, on: form.wire) else { return nil }
        return bytes
    }

    // MARK: Streams

    /// From now on nobody whose position is watched misses a publication of the group in silence.
    func watch(_ group: GroupName) { self.audiences.watch(group) }

    /// From now on the group's messages may be commands.
    func hearCommands(in group: GroupName) { self.audiences[group]?.state.withLock { $0.hearsCommands = true } }

    /// What somebody who has just begun to follow `group` must know of its stream.
    ///
    /// - Parameter completion: called once, on any thread, perhaps at once.
    func read(
        _ group: GroupName, _ query: HistoryQuery,
        completion: @escaping @Sendable (Result<HistoryPage, LayerError>) -> Void
    ) {
        guard let audience = self.audiences[group], let reader = self.reader else {
            return completion(.failure(LayerError(.unavailable, "nothing is kept")))
        }
        let known = audience.position
        // What is handed on from here on begins where it is.
        if let known, query.limit == 0 || query.since == known {
            return completion(.success(HistoryPage(publications: [], top: known)))
        }
        reader.read(group, query) { result in
            if case .success(let page) = result { self.observe(audience, page.top, asked: known) }
            completion(result)
        }
    }

    /// Compares some of the streams with the store's, each one once in the interval.
    private func checkSome() {
        let second = self.second.wrappingAdd(1, ordering: .relaxed).newValue
        self.check(
            self.audiences.watched {
                Int(truncatingIfNeeded: UInt(bitPattern: $0.hashValue) % UInt(self.checkInterval))
                    == second % self.checkInterval
            })
    }

    private func check(_ audiences: [Audience]) {
        guard let reader = self.reader else { return }
        for audience in audiences {
            let known = audience.position
            reader.read(audience.group, .position) { result in
                // Without an answer there is the next time.
                if case .success(let page) = result { self.observe(audience, page.top, asked: known) }
            }
        }
    }

    private func observe(_ audience: Audience, _ top: StreamPosition, asked: StreamPosition?) {
        // What moves must not be told more; it is compared again where it goes on.
        guard audience.position == nil || !self.tap.isHolding else { return }
        self.step(audience) { $0.observed(top, asked: asked) }
    }

    private func repair(_ audience: Audience, since: StreamPosition) {
        guard let reader = self.reader, let home = self.shards.first?.eventLoop else { return }
        self.metrics.streamRepairs.increment()
        let query = HistoryQuery(limit: StreamContinuity.waitingLimit, since: since)
        // Not on the layer's thread, which is in the middle of handing something over.
        home.execute {
            reader.read(audience.group, query) { result in self.step(audience) { $0.repaired(result) } }
        }
    }

    private func step(_ audience: Audience, _ body: (inout StreamContinuity) -> [StreamContinuity.Action]) {
        let reads = audience.state.withLock { state -> [StreamPosition] in
            guard var continuity = state.continuity else { return [] }
            let actions = body(&continuity)
            state.continuity = continuity
            return self.perform(actions, &state, audience.group)
        }
        for since in reads { self.repair(audience, since: since) }
    }

    /// - Returns: what is to be read, once the lock is free.
    private func perform(
        _ actions: [StreamContinuity.Action], _ audience: inout Audience.State, _ group: GroupName
    ) -> [StreamPosition] {
        var reads: [StreamPosition] = []
        for action in actions {
            switch action {
            case .handOn(let publications):
                for each in publications { self.deliver(each.message, offset: each.offset, to: &audience, in: group) }
            case .read(let since): reads.append(since)
            case .tellLost:
                self.metrics.lostStreams.increment()
                self.log.log(
                    .warning, "Publications were missed and cannot be had again", metadata: [LogKey.group: "\(group)"])
                for list in audience.lists { list.inbox.put(Delivery(list: list, frame: .notice(.lost))) }
            }
        }
        return reads
    }

    package func feedInterrupted(_ reason: LayerError) {
        self.interruptions.wrappingAdd(1, ordering: .relaxed)
        self.metrics.feedInterruptions.increment()
        self.log.log(.warning, "The layer was lost; browsers may miss messages", metadata: [LogKey.error: "\(reason)"])
    }

    package func feedRestored() {
        self.log.log(.notice, "The layer is back; all groups are followed again")
        self.interruptions.wrappingAdd(1, ordering: .relaxed)
        self.tellGap()
    }

    func tellGap() {
        for shard in self.shards { shard.eventLoop.execute { shard.tellGap() } }
        self.check(self.audiences.watched { _ in true })
    }

    // MARK: Moving to another gateway

    /// From where on everything of a group's stream is handed on; `nil` when that is not known.
    func position(of group: GroupName) -> StreamPosition? { self.audiences[group]?.position }

    /// Goes on with streams where another gateway stood.
    func resume(_ positions: [GroupName: StreamPosition]) {
        for (group, position) in positions { self.audiences.watch(group, from: position) }
    }

    /// Numbers that stand for channels with browsers that come from another gateway.
    func keep(numbers: [GroupName: Int64]) { self.audiences.keep(numbers: numbers) }

    /// Names of channels that browsers chose.
    var channelNames: [GroupName] { self.audiences.names { $0.form.ruleSet >= self.ruleSets.count } }

    // MARK: Numbers

    /// Groups with followers in this process.
    package var groupCount: Int { self.audiences.groupCount }

    /// Their names.
    var groupNames: [GroupName] { self.audiences.names { _ in true } }

    /// Pairs of a browser and a group it follows in this process.
    package var subscriptionCount: Int { self.audiences.subscriptions.load(ordering: .relaxed) }

    private func outcome(for message: LayerMessage, in group: GroupName, by form: Form, number: Int64) -> RuleOutcome {
        if self.ruleSets.indices.contains(form.ruleSet) { return self.ruleSets[form.ruleSet].outcome(for: message) }
        guard let push = self.push(of: form) else { return .drop(.noRule) }
        return push.outcome(for: message, in: group, as: form.client, number: number)
    }

    /// Of a namespace.
    private func push(of form: Form) -> ChannelPush? {
        let push = form.ruleSet - self.ruleSets.count
        return self.pushes.indices.contains(push) ? self.pushes[push] : nil
    }

    /// The number that stands for a channel with those who agreed to it; 0 while nobody follows it so.
    func number(of group: GroupName) -> Int64 { self.audiences[group]?.state.withLock { $0.number } ?? 0 }

    /// The message of a connection that is to be the only one of its user.
    static func replacement(by client: String) -> LayerMessage {
        ["type": .string(ChannelNotice.replacementType), "client": .string(client)]
    }

    /// What a newer publication replaces this one by; `nil` for what is none.
    private func key(of message: LayerMessage, by form: Form) -> String? {
        self.push(of: form)?.key(of: message)
    }

    private func noteDrop(_ outcome: RuleOutcome, _ message: LayerMessage, _ group: GroupName) {
        guard case .drop(let reason) = outcome else { return }
        self.metrics.dropped(reason)
        self.log.log(
            .info, "Message dropped",
            metadata: [
                LogKey.reason: "\(reason.rawValue)", LogKey.type: "\(message.type?.prefix(100) ?? "")",
                LogKey.group: "\(group)",
            ])
    }
}

extension ChannelNotice {
    static let replacementType = "carillon.replaced"

    fileprivate init?(_ message: LayerMessage) {
        guard message.type == Self.replacementType, case .string(let client)? = message["client"] else { return nil }
        self = .replaced(by: client)
    }
}
