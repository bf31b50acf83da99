import ChannelLayer
import Glibc
import NIOCore

/// What the new gateway must know of the streams of channels before it goes on with their followers.
extension TakeoverTaker {
    /// Positions read at once.
    private static let batch = 500
    /// How long the layer may be behind.
    private static let patience = TimeAmount.seconds(10)

    /// How far streams were told, and the numbers that stand for channels, as the browsers that came know them.
    var places: (positions: [GroupName: StreamPosition], numbers: [GroupName: Int64]) {
        var places: (positions: [GroupName: StreamPosition], numbers: [GroupName: Int64]) = ([:], [:])
        for case .session(_, let snapshot) in self.browsers.lazy.map(\.continuation) {
            for subscription in snapshot.client?.subscriptions ?? [] {
                guard let group = try? ClientChannel(subscription.channel).group else { continue }
                if let place = subscription.place { places.positions[group] = place.position }
                if subscription.number > 0 { places.numbers[group] = subscription.number }
            }
        }
        return places
    }

    /// A layer may have to read all there is before it says the first position, and hear kept publications another way until
    /// then, with which positions would not agree.
    func wakeStore() throws {
        guard let rules = self.server.context.routes.client?.rules else { return }
        let kept = self.channels.first { channel in
            let number = rules.namespaces.number(of: ClientChannel(of: channel).text) ?? -1
            return rules.namespaces.all.indices.contains(number) && rules.namespaces.all[number].keepsHistory
        }
        if let kept { _ = try self.tops(of: [kept]) }
    }

    /// Until the layer has here all that the old gateway has handed on of streams: it may be behind, and what is read then would
    /// end before what is heard next.
    func awaitStore() throws {
        var behind = self.places.positions
        let end = NIODeadline.now() + Self.patience
        while true {
            let groups = Array(behind.keys)
            for start in stride(from: 0, to: groups.count, by: Self.batch) {
                for (group, top) in try self.tops(of: groups[start..<min(start + Self.batch, groups.count)]) {
                    guard let position = behind[group] else { continue }
                    if top.epoch != position.epoch || top.offset >= position.offset { behind[group] = nil }
                }
            }
            guard !behind.isEmpty else { return }
            guard .now() < end else {
                throw TakeoverLink.Fault("the layer has not brought all that the gateway before has had")
            }
            usleep(10_000)
        }
    }

    /// The newest positions that the layer has. Blocks.
    private func tops(of groups: some Sequence<GroupName>) throws -> [(GroupName, StreamPosition)] {
        guard let store = self.server.context.layer.store, let loop = self.hub.shards.first?.eventLoop else {
            return []
        }
        let reads = groups.map { group in
            let promise = loop.makePromise(of: HistoryPage.self)
            store.readHistory(of: group, .position) { promise.completeWith($0.mapError { $0 as any Error }) }
            return (group, promise.futureResult)
        }
        return try reads.map { group, page in (group, try page.wait().top) }
    }
}
