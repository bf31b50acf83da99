import TestSupport

@testable import RedisLayer

/// A master, a replica that has all it has, and a sentinel that knows both.
struct RedisSentinelServers {
    let master: RedisServerProcess
    let replica: RedisServerProcess
    let sentinel: RedisServerProcess

    private static let name = "mymaster"

    static func start() async throws -> RedisSentinelServers {
        let master = try await RedisServerProcess.start()
        var options = RedisServerProcess.Options()
        options.replicaOf = master.port
        let replica = try await RedisServerProcess.start(options)
        try await replica.waitUntil(["INFO", "replication"]) { $0.contains("master_link_status:up") }
        let sentinel = try await RedisServerProcess.startSentinel(watching: Self.name, at: master.port)
        try await sentinel.waitUntil(["SENTINEL", "REPLICAS", Self.name]) { $0.contains("\(replica.port)") }
        return RedisSentinelServers(master: master, replica: replica, sentinel: sentinel)
    }

    func stop() {
        for server in [self.sentinel, self.replica, self.master] { server.stop() }
    }

    /// The master, wherever it is.
    ///
    /// - Parameter others: sentinels to be asked first.
    func endpoint(askingFirst others: [RedisEndpoint.Address] = []) -> RedisEndpoint {
        let address = RedisEndpoint.Address.tcp(host: "127.0.0.1", port: self.sentinel.port)
        return RedisEndpoint(.sentinels(.init(addresses: others + [address], masterName: Self.name)))
    }

    /// Waits until the sentinel made the replica the master.
    func promotion() async throws {
        try await self.sentinel.waitUntil(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self.name]) {
            $0.contains("\(self.replica.port)")
        }
    }

    /// Has the sentinel change master and replica.
    func failOver() async throws {
        try await self.sentinel.waitUntil(["SENTINEL", "FAILOVER", Self.name]) { $0.hasPrefix("OK") }
    }
}
