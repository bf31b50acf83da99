import ChannelLayer
import TestSupport
import Testing

@testable import RedisLayer

/// Redis is there, and does not do what it is asked.
@Suite(.timeLimit(.minutes(2)), .serialized) struct RedisRefusalTests {
    @Test func aRedisWithoutMemoryRefusesAndRecovers() async throws {
        try await withRedis { server in
            try await withSites([server.endpoint], of: [.core]) { sites in
                let site = sites[0]
                try await server.command("CONFIG", "SET", "maxmemory", "1")
                #expect(await site.sender.failure(of: test(1), to: site.group) == .refused)
                site.submit(2..<52)
                try await site.dropped(50)
                #expect(site.drops.dropped(.unavailable) == [site.group.text: 50])
                // Memberships cannot be restored either until there is memory.
                try await server.command("CLIENT", "KILL", "TYPE", "normal")
                try await site.heard.interrupted(1)
                var failure: LayerError.Code?
                // Refused, once the connection is there again.
                repeat { failure = await site.gateway.failureToJoin("other", site.feed) } while failure == .unavailable
                #expect(failure == .refused)
                #expect(site.heard.restorations == 0)
                try await server.command("CONFIG", "SET", "maxmemory", "0")
                try await site.heard.restored(1)
                try await site.untilHeard(from: 100)
                #expect(site.heard.interruptions == 1)
                site.heard.expectOrder()
            }
        }
    }

    @Test func aRedisThatBecomesAReplicaRefusesAndRecovers() async throws {
        try await withRedis { server in
            try await withSites([server.endpoint], of: [.core]) { sites in
                let site = sites[0]
                try await server.command("REPLICAOF", "127.0.0.1", "1")
                // It no longer hands out messages: whatever its master gets is missed here.
                try await site.heard.interrupted(1)
                #expect(await site.sender.failure(of: test(1), to: site.group) == .refused)
                site.submit(2..<52)
                try await site.dropped(50)
                #expect(site.heard.restorations == 0)
                try await expectResumption { round in
                    if round > 1 {
                        try await server.command("REPLICAOF", "127.0.0.1", "1")
                        try await site.heard.interrupted(round)
                    }
                    try await server.command("REPLICAOF", "NO", "ONE")
                    let back = ContinuousClock.now
                    try await site.heard.restored(round)
                    try await site.untilHeard(from: round * 1_000)
                    return ContinuousClock.now - back
                }
                #expect(site.dropped == 50)
                site.heard.expectOrder()
            }
        }
    }

    @Test func withoutMemoryAndAsAReplicaARedisStillPublishes() async throws {
        try await withRedis { server in
            try await withSites([server.endpoint], of: [.pubSub]) { sites in
                let site = sites[0]
                try await server.command("CONFIG", "SET", "maxmemory", "1")
                site.submit(0..<10)
                try await site.heard.arrivals(10)
                try await server.command("CONFIG", "SET", "maxmemory", "0")
                try await server.command("REPLICAOF", "127.0.0.1", "1")
                site.submit(10..<20)
                try await site.heard.arrivals(20)
                #expect(site.heard.interruptions == 0)
                #expect(site.dropped == 0)
                site.heard.expectOrder()
            }
        }
    }

    @Test(arguments: RedisLayerKind.allCases)
    func aWrongPasswordIsToldWithItsSetting(_ kind: RedisLayerKind) async throws {
        var options = RedisServerProcess.Options()
        options.password = "right"
        try await withRedis(options) { server in
            var endpoint = server.endpoint
            endpoint.credentials = .init(password: "wrong")
            for error in await Self.problems(kind, endpoint) { #expect(error.code == .refused) }
            let found = await RedisLayer.problems(reaching: [endpoint])
            #expect(found.count == 1)
            #expect(found.first?.contains("channel_layers.default.config.hosts[0]") == true)
            #expect(found.first?.contains("wrong") == false)
        }
    }

    @Test(
        arguments: RedisLayerKind.allCases, ["redis://no-such-host.invalid", "redis://127.0.0.1:1", "unix:///nowhere"])
    func aWrongAddressIsToldWithItsSetting(_ kind: RedisLayerKind, _ url: String) async throws {
        for error in await Self.problems(kind, try RedisEndpoint(parsing: url)) {
            #expect([.refused, .unavailable].contains(error.code))
        }
    }

    /// What sending and following say of a host that cannot be used.
    private static func problems(_ kind: RedisLayerKind, _ endpoint: RedisEndpoint) async -> [LayerError] {
        var endpoint = endpoint
        endpoint.setting = "channel_layers.default.config.hosts[7]"
        var options = RedisClientOptions()
        options.patience = .milliseconds(200)
        let layer = kind.layer([endpoint], options: options)
        let group = GroupName(unchecked: "g")
        var errors: [LayerError] = []
        do throws(LayerError) { try await layer.send(test(1), toGroup: group) } catch { errors.append(error) }
        let feed = layer.openFeed(FeedRecorder())
        do { try await layer.join(group, feed) } catch { if let error = error as? LayerError { errors.append(error) } }
        feed.close()
        await layer.close()
        #expect(errors.count == 2, "neither works")
        for error in errors {
            #expect(error.message.contains("channel_layers.default.config.hosts[7]"))
            #expect(!error.message.contains("wrong"))
        }
        return errors
    }
}

extension ChannelLayer {
    /// The code that following `group` ends with.
    func failureToJoin(_ group: String, _ feed: any GroupFeed) async -> LayerError.Code? {
        do {
            try await self.join(GroupName(unchecked: group), feed)
            return nil
        } catch {
            return (error as? LayerError)?.code
        }
    }
}
