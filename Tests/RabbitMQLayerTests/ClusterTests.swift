import ChannelLayer
import TestSupport
import Testing

@testable import RabbitMQLayer

/// Three nodes on this machine that are one broker.
@Suite(.timeLimit(.minutes(5))) struct ClusterTests {
    private let drops = DropRecorder()
    private let heard = FeedRecorder()
    private let group = GroupName(unchecked: "room")

    private func layer(
        _ nodes: [RabbitMQProcess], like other: RabbitMQConfiguration
    ) throws -> RabbitMQLayer {
        var configuration = other
        configuration.addresses = try nodes.map { try RabbitMQAddress($0.url()) }
        // Three nodes on one machine take their time, and what was given up is not to be sent twice.
        configuration.timeout = .seconds(30)
        configuration.connectTimeout = .seconds(10)
        return RabbitMQLayer(configuration: configuration, observer: self.drops, logger: quietLogger)
    }

    @Test func theOthersGoOnWhenANodeDies() async throws {
        let first = try await RabbitMQProcess.started()
        async let joined = (
            RabbitMQProcess.started(joining: first), RabbitMQProcess.started(joining: first)
        )
        let (doomed, third) = try await joined
        let configuration = try testConfiguration(first)
        let layer = try self.layer([doomed, third, first], like: configuration)
        let sender = try self.layer([third], like: configuration)
        try await self.followPatiently(layer)
        await sender.sendUntilTaken(numbered(0), toGroup: GroupName(unchecked: "nobody"))

        // From one node to another.
        for number in 0..<100 { try await sender.send(numbered(number), toGroup: self.group) }
        #expect(await self.heard.arrivals(100).compactMap(\.message.number) == Array(0..<100))

        // What must outlive a node is on all of them.
        let jobs = try ChannelName(unique("jobs"))
        for number in 0..<10 { try await layer.sendPatiently(numbered(number), to: jobs) }
        let queues = try await third.control("list_queues", "name", "type", "members")
        let queue = try #require(queues.split(separator: "\n").first { $0.contains(jobs.text) })
        #expect(queue.contains("quorum") && queue.split(separator: "@").count == 4, "\(queue)")

        try await doomed.kill()
        await self.heard.restorations(1)
        await sender.sendUntilTaken(numbered(100), toGroup: self.group)
        try await until { self.heard.arrivals.last?.message.number == 100 }
        #expect(self.heard.interruptions.count == 1)
        var read: [Int?] = []
        for _ in 0..<10 { read.append(try await layer.receive(from: jobs).number) }
        #expect(read == Array(0..<10))

        // Whoever comes now finds the first of its nodes gone.
        let late = try self.layer([doomed, first], like: configuration)
        await late.sendUntilTaken(numbered(101), toGroup: self.group)
        try await until { self.heard.arrivals.last?.message.number == 101 }

        for layer in [layer, sender, late] { await layer.close() }
        for node in [doomed, third, first] { try await node.end() }
    }

    /// A node that has just joined may refuse for a moment.
    private func followPatiently(_ layer: RabbitMQLayer) async throws {
        let feed = layer.openFeed(self.heard)
        try await until {
            do {
                try await layer.follow(self.group, by: feed)
                return true
            } catch let error as LayerError where error.code == .unavailable {
                return false
            }
        }
    }
}
