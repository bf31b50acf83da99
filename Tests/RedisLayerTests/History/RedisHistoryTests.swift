import ChannelLayer
import NIOCore
import TestSupport
import Testing

@testable import RedisLayer

private let options = HistoryOptions(size: 100, timeToLive: .seconds(600))

/// A cluster: all that is kept of a group must be where its topic is.
private let cluster = ContractLayer(
    "redis_pubsub, cluster", [.flush, .processes, .history, .historyOrder, .historyInOneStep, .presence]
) { _ in
    let servers = try await RedisClusterServers.start()
    let drops = DropRecorder()
    var configuration = RedisPubSubConfiguration()
    configuration.hosts = [servers.masters[0].endpoint]
    configuration.isCluster = true
    return ContractBroker(
        drops: drops,
        connect: { [configuration] in
            RedisPubSubLayer(configuration, options: .patient, loops: testLoops, observer: drops, logger: .silent)
        },
        close: { servers.stop() })
}

/// Both layers, with JSON.
private let json = ["core", "pub/sub"].map { kind in
    ContractLayer("\(kind), JSON", [.history, .historyOrder, .historyInOneStep, .presence]) { _ in
        let server = try await RedisServerProcess.start()
        let drops = DropRecorder()
        return ContractBroker(
            drops: drops, connect: { layer(kind, server, drops) }, close: { server.stop() })
    }
}

private func layer(_ kind: String, _ server: RedisServerProcess, _ drops: DropRecorder) -> any ChannelLayer {
    if kind == "core" {
        var configuration = RedisLayerConfiguration()
        configuration.hosts = [server.endpoint]
        configuration.serializer = .json
        return RedisLayer(configuration, options: .patient, observer: drops, logger: .silent)
    }
    var configuration = RedisPubSubConfiguration()
    configuration.hosts = [server.endpoint]
    configuration.serializer = .json
    return RedisPubSubLayer(configuration, options: .patient, loops: testLoops, observer: drops, logger: .silent)
}

extension ContractLayer {
    /// What is claimed of histories and presence.
    fileprivate var storeClaims: [LayerClaim] {
        let without = ContractLayer("", self.abilities.subtracting([.history, .presence]), open: self.open)
        return self.claims.filter { claim in
            !without.claims.contains { $0.testDescription == claim.testDescription }
        }
    }
}

@Suite(.timeLimit(.minutes(3)), .serialized) struct RedisHistoryTests {
    @Test(arguments: cluster.storeClaims) func aClusterKeepsTheContract(_ claim: LayerClaim) async throws {
        try await claim.hold(for: cluster)
    }

    @Test(arguments: json) func jsonIsKeptAlike(_ layer: ContractLayer) async throws {
        for claim in layer.storeClaims {
            try await claim.hold(for: layer)
        }
    }

    /// Whoever reads with Python's layers finds a message like any other, with two keys more.
    @Test func theMessageIsOneThatPythonReads() async throws {
        try await withRedis { server in
            try await withLayer([server.endpoint]) { layer, _ in
                let (first, second) = (ChannelName(unchecked: "p.x!one"), ChannelName(unchecked: "p.x!two"))
                let group = try GroupName("news")
                for channel in [first, second] { try await layer.groupAdd(group, channel) }
                let result = try await layer.kept.publish(test(1), toGroup: group, keeping: options)
                let bytes = try await server.command("ZRANGE", "asgip.x!", "0", "-1")
                for text in ["__asgi_channel__", "p.x!one", "p.x!two", "offset", "epoch", result.position.epoch] {
                    #expect(bytes.contains(text))
                }
                #expect(try await server.command("TYPE", "asgi:history:news") == "stream")
            }
        }
    }

    @Test func aRedisThatComesBackWithItsDataGoesOn() async throws {
        var server = RedisServerProcess.Options()
        server.isPersistent = true
        let (before, page) = try await Self.overAKill(server)
        #expect(page.top == before)
        #expect(page.publications.map(\.offset) == [1, 2, 3])
    }

    @Test func aRedisThatComesBackEmptyBeginsANewEpoch() async throws {
        let (before, page) = try await Self.overAKill(.init())
        #expect(page.top.offset == 0)
        #expect(page.top.epoch != before.epoch)
        #expect(page.publications.isEmpty)
    }

    /// - Returns: the position before the kill, and what is there after it.
    private static func overAKill(
        _ options: RedisServerProcess.Options
    ) async throws -> (before: StreamPosition, after: HistoryPage) {
        let server = try await RedisServerProcess.start(options)
        defer { server.stop() }
        let layer = server.pubSubLayer()
        let group = try GroupName("killed")
        var before = StreamPosition(offset: 0, epoch: "")
        for number in 1...3 {
            before = try await layer.kept.publish(
                test(number), toGroup: group, keeping: .init(size: 9, timeToLive: .seconds(600))
            ).position
        }
        server.kill()
        try await server.start()
        var page: HistoryPage?
        while page == nil { page = try? await layer.kept.readHistory(of: group, .everything) }
        await layer.close()
        return (before, try #require(page))
    }

    @Test func whoIsPresentIsSaidAgainToARedisThatForgot() async throws {
        let server = try await RedisServerProcess.start()
        defer { server.stop() }
        let layer = server.pubSubLayer { $0.presenceExpiry = .seconds(2) }
        let group = try GroupName("present")
        let presence = Presence(client: "c", user: "u", info: ByteBuffer(string: "{}"))
        try await layer.kept.addPresence(presence, in: group)
        server.kill()
        try await server.start()
        var present: [Presence] = []
        while present.isEmpty { present = (try? await layer.kept.readPresence(of: group)) ?? [] }
        #expect(present == [presence])
        await layer.close()
    }

    @Test func whatSomebodyElseWroteUnderItsNameHarmsNobody() async throws {
        try await withRedis { server in
            let layer = server.pubSubLayer()
            let (group, other) = (try GroupName("taken"), try GroupName("free"))
            try await server.command("SET", "asgi:position:taken", "x")
            await #expect(throws: LayerError.self) {
                try await layer.kept.publish(test(1), toGroup: group, keeping: options)
            }
            await #expect(throws: LayerError.self) { _ = try await layer.kept.readHistory(of: group, .everything) }
            #expect(try await layer.kept.publish(test(1), toGroup: other, keeping: options).position.offset == 1)
            try await server.command("XADD", "asgi:history:free", "7-0", "other", "x")
            let page = try await layer.kept.readHistory(of: other, .everything)
            #expect(page.publications.map(\.offset) == [1], "what is no publication is left out")
            await layer.close()
        }
    }

    @Test func nothingIsLeftOfWhatIsOver() async throws {
        try await withRedis { server in
            let layer = server.pubSubLayer { $0.presenceExpiry = .seconds(1) }
            let group = try GroupName("short")
            var short = HistoryOptions(size: 9, timeToLive: .seconds(1), metaTimeToLive: .seconds(1))
            short.idempotencyKey = "key"
            short.idempotencyTimeToLive = .seconds(1)
            try await layer.kept.publish(test(1), toGroup: group, keeping: short)
            try await layer.kept.addPresence(Presence(client: "c", user: "u", info: ByteBuffer()), in: group)
            await layer.close()
            try await server.waitUntil(["DBSIZE"]) { $0 == "0" }
        }
    }

    @Test func aGroupWithBracesCannotBeKeptInACluster() throws {
        let keys = RedisStoreKeys(prefix: "asgi", topicPrefix: "asgi__group__")
        #expect(keys.refusal(of: GroupName(unchecked: "a}b"))?.code == .invalidName)
        #expect(keys.refusal(of: GroupName(unchecked: "ab")) == nil)
        let names = [keys.history, keys.position, keys.present, keys.renewed, keys.users].map {
            $0(GroupName(unchecked: "ab"))
        }
        let topic = RedisTopic(GroupName(unchecked: "ab"), groupPrefix: RedisTopic.groupPrefix("asgi")).name
        #expect(Set((names + [keys.once(GroupName(unchecked: "ab"), "}{")]).map(RedisSlot.of)) == [RedisSlot.of(topic)])
    }
}
