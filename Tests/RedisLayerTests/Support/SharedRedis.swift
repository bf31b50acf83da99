import ChannelLayer
import TestSupport
import Testing

@testable import RedisLayer

/// Servers for all tests of a suite. Each test keeps to keys of its own (`SharedRedis.configuration`).
struct SharedRedis: SuiteTrait, TestScoping {
    @TaskLocal static var servers: [RedisServerProcess] = []

    let count: Int

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        var servers: [RedisServerProcess] = []
        for _ in 0..<self.count { servers.append(try await RedisServerProcess.start()) }
        defer { for server in servers { server.stop() } }
        try await Self.$servers.withValue(servers) { try await function() }
    }

    /// On the first `hosts` of the suite's servers, under a prefix that nobody else uses.
    static func configuration(hosts: Int = 1) -> RedisLayerConfiguration {
        var configuration = RedisLayerConfiguration()
        configuration.hosts = Self.servers.prefix(hosts).map(\.endpoint)
        configuration.prefix = "t\(String(UInt64.random(in: .min ... .max), radix: 36))"
        return configuration
    }
}

extension Trait where Self == SharedRedis {
    /// Starts servers for the suite.
    static func redis(_ count: Int) -> SharedRedis { SharedRedis(count: count) }
}

extension RedisClientOptions {
    /// For a busy machine, where the first connection may take its time.
    static let patient: RedisClientOptions = {
        var options = RedisClientOptions()
        options.patience = .seconds(30)
        options.connectLimit = .seconds(30)
        options.timeLimit = .seconds(30)
        return options
    }()
}
