import NIOCore
import TestSupport
import Testing

@testable import RedisLayer

@Suite(.timeLimit(.minutes(2))) struct RedisSentinelTests {
    @Test func theClientFollowsTheMaster() async throws {
        let servers = try await RedisSentinelServers.start()
        defer { servers.stop() }
        let (master, replica) = (servers.master, servers.replica)
        let nobody = RedisEndpoint.Address.tcp(host: "127.0.0.1", port: try freePort())
        let endpoint = servers.endpoint(askingFirst: [nobody])
        try await withClient(endpoint, { $0.timeLimit = .seconds(2) }) { client in
            try await client.run("SET", "key", "before")
            #expect(try await client.run("CONFIG", "GET", "port").array?.last?.text == "\(master.port)")
            try await replica.waitUntil(["GET", "key"]) { $0.contains("before") }
            // The master falls silent; the sentinel promotes the replica.
            try master.pause()
            let writing = Task { await client.failure("SET", "key", "silent") }
            try await servers.promotion()
            let promoted = ContinuousClock.now
            await client.events.connections(2)
            // How soon exactly is measured with the layers (`RedisOutageTests`).
            #expect(ContinuousClock.now - promoted < .seconds(15))
            #expect(await writing.value?.code == .timedOut)
            #expect(try await client.run("CONFIG", "GET", "port").array?.last?.text == "\(replica.port)")
            #expect(try await client.run("GET", "key").text == "before")
            // The old master comes back as a replica.
            master.resume()
            try await client.run("SET", "key", "after")
            // And an order: the sentinel makes it master again.
            try await master.waitUntil(["ROLE"]) { $0.hasPrefix("slave") }
            try await master.waitUntil(["INFO", "replication"]) { $0.contains("master_link_status:up") }
            try await servers.failOver()
            await client.events.connections(3)
            #expect(try await client.run("GET", "key").text == "after")
            try await client.run("SET", "key", "again")
        }
    }

    @Test func aMasterTheSentinelsDoNotKnowIsNamed() async throws {
        let master = try await RedisServerProcess.start()
        defer { master.stop() }
        let sentinel = try await RedisServerProcess.startSentinel(watching: "mymaster", at: master.port)
        defer { sentinel.stop() }
        let sentinels = RedisEndpoint.Sentinels(
            addresses: [.tcp(host: "127.0.0.1", port: sentinel.port)], masterName: "other")
        try await withClient(RedisEndpoint(.sentinels(sentinels)), { $0.patience = .milliseconds(100) }) { client in
            let error = await client.failure("PING")
            #expect(error?.message.contains("\"other\"") == true)
            #expect(error?.message.contains("hosts[0]") == true)
        }
    }
}
