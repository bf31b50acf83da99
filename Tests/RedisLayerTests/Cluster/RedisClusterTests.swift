import ChannelLayer
import NIOCore
import TestSupport
import Testing

@testable import RedisLayer

/// Each against a real cluster.
@Suite(.timeLimit(.minutes(2)), .serialized) struct RedisClusterTests {
    /// A layer that knows one node.
    private func layer(
        _ cluster: RedisClusterServers, seed: Int = 0, _ observer: (any LayerObserver)? = nil
    ) -> RedisPubSubLayer {
        cluster.masters[seed].pubSubLayer(observer) { $0.isCluster = true }
    }

    private func message(_ number: Int) -> LayerMessage { ["type": "test", "number": .int(Int64(number))] }

    private func numbers(_ arrivals: [FeedRecorder.Arrival], in group: String) -> [Int] {
        arrivals.filter { $0.group.text == group }.compactMap {
            if case .int(let value)? = $0.message["number"] { Int(value) } else { nil }
        }
    }

    @Test func groupsAndChannelsOfAllSlotsAreCarried() async throws {
        let cluster = try await RedisClusterServers.start()
        defer { cluster.stop() }
        let (here, there) = (self.layer(cluster), self.layer(cluster, seed: 2))
        let heard = FeedRecorder()
        let feed = here.openFeed(heard)
        let groups = (0..<30).map { "group.\($0)" }
        for group in groups { try await follow(group, by: feed) }
        for number in 0..<20 {
            for group in groups {
                there.submit(self.message(number), toGroup: GroupName(unchecked: group), completion: nil)
            }
        }
        let arrivals = await heard.arrivals(600)
        for group in groups { #expect(self.numbers(arrivals, in: group) == Array(0..<20)) }
        #expect(heard.interruptions.isEmpty, "finding the nodes is no gap")
        for master in cluster.masters {
            let topics = try await master.command("PUBSUB", "SHARDCHANNELS").split(separator: "\n")
            #expect(!topics.isEmpty, "every node has its share")
        }
        let channel = try await here.newChannel()
        try await there.send(self.message(1), to: channel)
        #expect(try await here.receive(from: channel) == self.message(1))
        await here.close()
        await there.close()
    }

    @Test func aSlotThatMovesTakesItsGroupAlong() async throws {
        let cluster = try await RedisClusterServers.start()
        defer { cluster.stop() }
        let drops = DropRecorder()
        let (here, there) = (self.layer(cluster), self.layer(cluster, drops))
        let heard = FeedRecorder()
        let feed = here.openFeed(heard)
        try await follow("moving", by: feed)
        let slot = "\(RedisSlot.of("asgi__group__moving"))"
        try await there.send(self.message(0), toGroup: GroupName("moving"))
        var owner: RedisServerProcess?
        for master in cluster.masters {
            let topics = try await master.command("PUBSUB", "SHARDCHANNELS")
            if topics.contains("moving") { owner = master }
        }
        let source = try #require(owner)
        let target = try #require(cluster.masters.first { $0 !== source })
        let name = try await target.command("CLUSTER", "MYID")
        let sending = Task {
            for number in 1...2_000 {
                there.submit(self.message(number), toGroup: GroupName(unchecked: "moving"), completion: nil)
                if number.isMultiple(of: 50) { await Task.yield() }
            }
        }
        try await target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", try await source.command("CLUSTER", "MYID"))
        try await source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", name)
        for master in [target, source] + cluster.masters.filter({ $0 !== source && $0 !== target }) {
            try await master.command("CLUSTER", "SETSLOT", slot, "NODE", name)
        }
        await sending.value
        await heard.restorations(1)
        #expect(heard.interruptions.count == 1)
        try await target.waitUntil(["PUBSUB", "SHARDCHANNELS"]) { $0.contains("moving") }
        for number in 2_001...2_010 { try await there.send(self.message(number), toGroup: GroupName("moving")) }
        while heard.arrivals.last?.message != self.message(2_010) {
            try Task.checkCancellation()
            await Task.yield()
        }
        let numbers = self.numbers(heard.arrivals, in: "moving")
        #expect(numbers == numbers.sorted() && Set(numbers).count == numbers.count, "in order, nothing twice")
        #expect(numbers.suffix(10) == Array(2_001...2_010))
        #expect(drops.dropped(.unavailable).isEmpty, "what a node sends back goes to the other")
        await here.close()
        await there.close()
    }

    @Test func aReplicaTakesOver() async throws {
        let cluster = try await RedisClusterServers.start(hasReplica: true)
        defer { cluster.stop() }
        let replica = try #require(cluster.replica)
        let layer = self.layer(cluster, seed: 1)
        let heard = FeedRecorder()
        let feed = layer.openFeed(heard)
        // Of the first master's slots.
        let group = try #require((0..<1_000).map { "g\($0)" }.first { RedisSlot.of("asgi__group__\($0)") < 5_000 })
        try await follow(group, by: feed)
        try await layer.send(self.message(0), toGroup: GroupName(unchecked: group))
        cluster.masters[0].kill()
        try await replica.waitUntil(["ROLE"]) { $0.hasPrefix("master") }
        for node in cluster.masters.dropFirst() + [replica] {
            try await node.waitUntil(["CLUSTER", "INFO"]) { $0.contains("cluster_state:ok") }
            // Whoever is asked says so.
            try await node.waitUntil(["CLUSTER", "NODES"]) { nodes in
                nodes.split(separator: "\n").contains {
                    $0.contains(":\(replica.port)@") && $0.contains("master") && $0.contains(" 0-")
                }
            }
        }
        await heard.restorations(1)
        #expect(heard.interruptions.count == 1)
        try await layer.send(self.message(1), toGroup: GroupName(unchecked: group))
        #expect(self.numbers(await heard.arrivals(2), in: group) == [0, 1])
        await layer.close()
    }
}
