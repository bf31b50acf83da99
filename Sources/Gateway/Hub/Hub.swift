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

    init(
        eventLoops: [any EventLoop], ruleSets: [RuleSet], pushes: [ChannelPush], frames: FrameBuilder, slice: Int,
        control: ControlPost, metrics: GatewayMetrics, log: BoundedLog
    ) {
        self.audiences = Audiences()
        self.ruleSets = ruleSets
        self.pushes = pushes
        self.frames = frames
        self.control = control
        self.metrics = metrics
        self.log = log
        let audiences = self.audiences
        self.shards = eventLoops.map {
            HubShard(eventLoop: $0, audiences: audiences, slice: slice, metrics: metrics)
        }
    }

    /// Connects the hub to a layer. Called once, before the first browser.
    ///
    /// - Parameters:
    ///   - hearsControl: whether other gateways may tell it something.
    ///   - runsClock: whether seconds pass by themselves; if not, `passSecond` makes them.
    package func start(on layer: any ChannelLayer, hearsControl: Bool = false, runsClock: Bool = true) {
        guard let home = self.shards.first?.eventLoop else { return }
        let keeper = FeedKeeper(feed: layer.openFeed(self), home: home)
        for shard in self.shards { shard.start(with: keeper, runsClock: runsClock) }
        if hearsControl { self.shards.first?.hear(self.control.groups) }
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
        self.tap.pass(message, in: group) { self.deliver($0, in: $1) }
    }

    /// Gives a message to all who follow its group here.
    func deliver(_ message: LayerMessage, in group: GroupName) {
        guard let lists = self.audiences.lists(of: group), let first = lists.first else {
            return self.control.arrived(message)
        }
        self.metrics.publications.increment()
        var form = first.form
        var outcome = self.outcome(for: message, in: group, by: form)
        var frame = self.frames.frame(for: outcome, on: form.wire)
        self.noteDrop(outcome, message, group)
        for list in lists {
            if !list.form.isSame(as: form) {
                if !list.form.hasSameOutcome(as: form) {
                    outcome = self.outcome(for: message, in: group, by: list.form)
                    self.noteDrop(outcome, message, group)
                }
                form = list.form
                frame = self.frames.frame(for: outcome, on: form.wire)
            }
            if let frame { list.inbox.put(Delivery(list: list, frame: frame)) }
        }
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
    }

    /// Groups with followers in this process.
    package var groupCount: Int { self.audiences.groupCount }

    /// Their names.
    var groupNames: [GroupName] { self.audiences.groupNames }

    /// Pairs of a browser and a group it follows in this process.
    package var subscriptionCount: Int { self.audiences.subscriptions.load(ordering: .relaxed) }

    private func outcome(for message: LayerMessage, in group: GroupName, by form: Form) -> RuleOutcome {
        if self.ruleSets.indices.contains(form.ruleSet) { return self.ruleSets[form.ruleSet].outcome(for: message) }
        let push = form.ruleSet - self.ruleSets.count
        guard self.pushes.indices.contains(push) else { return .drop(.noRule) }
        return self.pushes[push].outcome(for: message, in: group, as: form.client)
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
