import ChannelLayer
import NIOCore
import Synchronization
import Telemetry

/// Plain groups as channels: what a backend sends to the group `news` is heard in the channel `news`, and kept where the
/// channel's namespace keeps a history.
///
/// ```
///  group_send("news", …) ──▶ every gateway with a subscriber ──▶ the store: kept once ──▶ subscribers, everywhere
///                       └──▶ Python's consumers, plain routes: the message itself, once
/// ```
///
/// No gateway leads: each that hears a message offers it to the store as a `Witness`, and the first one has it kept. What is
/// kept goes to an audience of its own, not to the plain group again. Where nothing is kept, a group's message goes to its
/// subscribers as it is (`ChannelPush`), and there is something to do only for names that differ.
final class GroupBridge: Sendable {
    /// What an arriving message means.
    struct Meaning {
        /// The group of the channel, when the message came for its subscribers alone.
        var home: GroupName?
        /// Channels that hear it as it is.
        var channels: [GroupName] = []
    }

    private struct State {
        /// By source, the channels that hear it here, and how many of the gateway's loops want them.
        var targets: [GroupName: [BridgeTarget: Int]] = [:]
        /// By audience the group of the channel.
        var homes: [GroupName: (group: GroupName, count: Int)] = [:]

        mutating func change(_ source: GroupName, _ target: BridgeTarget, by step: Int) {
            let count = (self.targets[source]?[target] ?? 0) + step
            self.targets[source, default: [:]][target] = count > 0 ? count : nil
            if self.targets[source]?.isEmpty == true { self.targets[source] = nil }
            guard let audience = target.audience else { return }
            let homes = (self.homes[audience]?.count ?? 0) + step
            self.homes[audience] = homes > 0 ? (target.group, homes) : nil
        }
    }

    private let links: GroupLinks
    private let namespaces: ChannelNamespaces
    private let offers: BridgeOffers?
    private let metrics: GatewayMetrics
    private let state = Mutex(State())

    /// `nil` when every group is heard in the channel of its name alone, and nothing is kept of those.
    ///
    /// - Parameter home: where the store is asked.
    init?(
        _ links: GroupLinks, _ namespaces: ChannelNamespaces, store: (any GroupStore)?, home: any EventLoop,
        metrics: GatewayMetrics, log: BoundedLog
    ) {
        guard !links.links.isEmpty || (store != nil && namespaces.all.first?.keepsHistory == true) else { return nil }
        self.links = links
        self.namespaces = namespaces
        self.metrics = metrics
        self.offers = store.map {
            BridgeOffers($0, home: home, window: links.window, metrics: metrics, log: log)
        }
    }

    // MARK: Who is linked with whom

    private func keeps(_ namespace: Int) -> Bool {
        self.offers != nil && self.namespaces.all.indices.contains(namespace)
            && self.namespaces.all[namespace].keepsHistory
    }

    /// The channel of a group, as the target of others; `nil` for a channel that is not there.
    private func target(_ channel: ClientChannel) -> BridgeTarget? {
        guard let namespace = self.namespaces.number(of: channel.text) else { return nil }
        let audience = self.keeps(namespace) ? channel.audience : nil
        return BridgeTarget(group: channel.group, audience: audience, namespace: namespace)
    }

    /// The groups that are heard in a channel, when that is more than subscribing to its own.
    private func sources(of target: BridgeTarget) -> [GroupName] {
        let others = self.links.groups(of: ClientChannel(of: target.group).text).filter { $0 != target.group }
        return (target.audience == nil ? [] : [target.group]) + others
    }

    // MARK: Subscribers

    /// Somebody will follow a channel.
    ///
    /// - Returns: the groups that are to be followed with it. `end` gives the same.
    func begin(_ channel: GroupName) -> [GroupName] { self.change(channel, by: 1) }

    /// The end of one `begin`.
    func end(_ channel: GroupName) -> [GroupName] { self.change(channel, by: -1) }

    private func change(_ channel: GroupName, by step: Int) -> [GroupName] {
        guard let target = self.target(ClientChannel(of: channel)) else { return [] }
        let sources = self.sources(of: target)
        guard !sources.isEmpty else { return [] }
        self.state.withLock { state in
            for source in sources { state.change(source, target, by: step) }
        }
        return sources.filter { $0 != channel } + (target.audience.map { [$0] } ?? [])
    }

    /// Groups that are kept whoever is subscribed; from now on.
    func beginAlways() -> [GroupName] {
        self.links.always.filter { group in
            let targets = self.links.allChannels(of: group).compactMap { self.target($0) }
                .filter { self.keeps($0.namespace) && self.sources(of: $0).contains(group) }
            self.state.withLock { state in
                for target in targets { state.change(group, target, by: 1) }
            }
            return !targets.isEmpty
        }
    }

    // MARK: Messages

    /// A message arrives. What is to be kept is offered to the store.
    func look(at message: LayerMessage, in group: GroupName) -> Meaning {
        let (home, targets) = self.state.withLock { state in
            (state.homes[group]?.group, state.targets[group].map { Array($0.keys) } ?? [])
        }
        if let home { return Meaning(home: home) }
        guard !targets.isEmpty, message.isPlain else { return Meaning() }
        var meaning = Meaning()
        for target in targets {
            guard let offers = self.offers, let options = HistoryOptions(self.namespaces.all[target.namespace]) else {
                meaning.channels.append(target.group)
                continue
            }
            do throws(ClientPublication.Fault) {
                let dataKey = self.namespaces.all[target.namespace].dataKey
                offers.offer(
                    try message.bridged(from: group, dataKey: dataKey), to: target, keeping: options,
                    as: message.content(in: group))
            } catch {
                self.metrics.dropped(error.reason)
            }
        }
        return meaning
    }

    /// Who of a group's followers hears a message.
    enum Hearers { case all, routes, channels }

    func hearers(of message: LayerMessage, in group: GroupName) -> Hearers {
        if message.isBridged { return .channels }
        guard message.isPlain else { return .all }
        // Subscribers hear it when it is kept.
        let isKept = self.state.withLock { $0.targets[group]?.keys.contains { $0.group == group } == true }
        return isKept ? .routes : .all
    }
}
