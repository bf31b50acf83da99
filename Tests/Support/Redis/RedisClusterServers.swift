/// A real Redis Cluster: masters that share the slots, and perhaps a replica of the first.
public final class RedisClusterServers: Sendable {
    public let masters: [RedisServerProcess]
    /// Of the first master.
    public let replica: RedisServerProcess?

    /// Starts it, and returns when every node finds it whole.
    public static func start(masters count: Int = 3, hasReplica: Bool = false) async throws -> RedisClusterServers {
        var masters: [RedisServerProcess] = []
        do {
            for _ in 0..<count { masters.append(try await Self.node()) }
            let cluster = RedisClusterServers(masters, hasReplica ? try await Self.node() : nil)
            try await cluster.join()
            return cluster
        } catch {
            for server in masters { server.stop() }
            throw error
        }
    }

    private static func node() async throws -> RedisServerProcess {
        var options = RedisServerProcess.Options()
        options.isCluster = true
        // The bus has a port of its own: the usual one, 10000 higher, may not exist.
        options.lines = ["cluster-port \(try freePort())"]
        return try await RedisServerProcess.start(options)
    }

    private init(_ masters: [RedisServerProcess], _ replica: RedisServerProcess?) {
        self.masters = masters
        self.replica = replica
    }

    private func join() async throws {
        let size = 16_384 / self.masters.count
        for (index, master) in self.masters.enumerated() {
            let last = index == self.masters.count - 1 ? 16_383 : (index + 1) * size - 1
            try await master.command("CLUSTER", "ADDSLOTSRANGE", "\(index * size)", "\(last)")
            try await master.command("CLUSTER", "SET-CONFIG-EPOCH", "\(index + 1)")
        }
        let first = self.masters[0]
        let bus = try await first.command("CONFIG", "GET", "cluster-port").split(separator: "\n").last.map(String.init)
        for node in self.masters.dropFirst() + [self.replica].compactMap(\.self) {
            try await node.command("CLUSTER", "MEET", "127.0.0.1", "\(first.port)", bus ?? "")
        }
        let count = self.masters.count + (self.replica == nil ? 0 : 1)
        for node in self.masters + [self.replica].compactMap(\.self) {
            try await node.waitUntil(["CLUSTER", "INFO"]) {
                $0.contains("cluster_known_nodes:\(count)") && $0.contains("cluster_state:ok")
            }
        }
        guard let replica = self.replica else { return }
        try await replica.command("CLUSTER", "REPLICATE", try await first.command("CLUSTER", "MYID"))
        try await replica.waitUntil(["INFO", "replication"]) { $0.contains("master_link_status:up") }
        try await first.waitUntil(["CLUSTER", "SLOTS"]) { $0.contains("\(replica.port)") }
    }

    public func stop() {
        for server in self.masters { server.stop() }
        self.replica?.stop()
    }

    deinit { self.stop() }
}
