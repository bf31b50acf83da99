import NIOCore
import TestSupport
import Testing

@testable import RedisLayer

/// Passwords, users, databases, Unix sockets, TLS: against real servers.
@Suite(.timeLimit(.minutes(2)), .serialized) struct RedisAccessTests {
    @Test func passwordsUsersAndDatabasesAreUsed() async throws {
        var options = RedisServerProcess.Options()
        options.password = "s3cret"
        options.users = ["alice on >wonder ~* &* +@all"]
        try await withRedis(options) { server in
            var endpoint = server.endpoint
            endpoint.credentials = .init(password: "s3cret")
            endpoint.database = 3
            endpoint.clientName = "carillon-test"
            try await withClient(endpoint) { client in
                try await client.run("SET", "key", "three")
                #expect(try await client.run("CLIENT", "GETNAME").text == "carillon-test")
            }
            #expect(try await server.command("-n", "3", "GET", "key") == "three")
            endpoint.credentials = .init(username: "alice", password: "wonder")
            try await withClient(endpoint) { client in
                let answer = try await client.run("ACL", "WHOAMI").text
                #expect(answer == "alice")
            }
        }
    }

    @Test func whoIsNotLetInIsToldTheSetting() async throws {
        var options = RedisServerProcess.Options()
        options.password = "s3cret"
        try await withRedis(options) { server in
            var endpoint = server.endpoint
            endpoint.setting = "channel_layers.default.config.hosts[7]"
            for (credentials, database, code) in [
                (RedisEndpoint.Credentials(password: "wrong"), 0, RedisError.Code.refused),
                (nil, 0, .refused), (.init(username: "nobody", password: "s3cret"), 0, .refused),
                (.init(password: "s3cret"), 99, .misconfigured),
            ] {
                endpoint.credentials = credentials
                endpoint.database = database
                try await withClient(endpoint) { client in
                    let error = await client.failure("PING")
                    #expect(error?.code == code)
                    #expect(error?.message.contains("channel_layers.default.config.hosts[7]") == true)
                    #expect(error?.message.contains("s3cret") == false)
                }
            }
            // Once the server takes the password, nobody has to restart us.
            endpoint.credentials = .init(password: "later")
            endpoint.database = 0
            try await withClient(endpoint) { client in
                await client.events.failures(2)
                try await server.command("CONFIG", "SET", "requirepass", "later")
                await client.events.connections(1)
                #expect(try await client.run("PING") == .simple("PONG"))
            }
        }
    }

    @Test func aUnixSocketIsAPlace() async throws {
        try await withRedis { server in
            let endpoint = try RedisEndpoint(parsing: "unix://\(server.socketPath)?db=2")
            try await withClient(endpoint) { try await $0.run("SET", "key", "two") }
            #expect(try await server.command("-n", "2", "GET", "key") == "two")
        }
    }

    @Test func whatIsNotThereIsNamed() async throws {
        let port = try freePort()
        let nowhere = RedisEndpoint(.server(.tcp(host: "127.0.0.1", port: port)))
        try await withClient(nowhere, { $0.patience = .milliseconds(50) }) { client in
            let error = await client.failure("PING")
            #expect(error?.code == .unavailable)
            #expect(error?.message.contains("127.0.0.1:\(port) (channel_layers.default.config.hosts[0])") == true)
        }
        let unknown = RedisEndpoint(.server(.tcp(host: "no-such-host.invalid", port: port)))
        try await withClient(unknown) { client in
            let error = await client.failure("PING")
            #expect(error?.message.contains("no-such-host.invalid") == true)
        }
    }

    @Test func encryptedConnectionsAreChecked() async throws {
        let certificates = try await TestCertificates()
        let others = try await TestCertificates()
        var options = RedisServerProcess.Options()
        options.certificates = certificates
        try await withRedis(options) { server in
            func endpoint(_ host: String, _ tls: RedisTLS?) -> RedisEndpoint {
                RedisEndpoint(.server(.tcp(host: host, port: server.port)), tls: tls)
            }
            let trusting = RedisTLS(authorityFile: certificates.authorityFile)
            for host in ["localhost", "127.0.0.1"] {
                try await withClient(endpoint(host, trusting)) {
                    #expect(await $0.failure("PING") == nil)
                }
            }
            try await withClient(endpoint("localhost", RedisTLS(verification: .none))) {
                #expect(await $0.failure("PING") == nil)
            }
            for tls in [
                RedisTLS(), RedisTLS(authorityFile: others.authorityFile), RedisTLS(authorityFile: "/no/such/file"),
                RedisTLS(authorityFile: certificates.keyFile),
            ] {
                try await withClient(endpoint("localhost", tls)) { client in
                    let error = await client.failure("PING")
                    #expect(error?.code == .misconfigured)
                    #expect(error?.message.contains("hosts[0]") == true)
                }
            }
            // In the clear to a server that wants TLS.
            try await withClient(endpoint("localhost", nil), { $0.patience = .milliseconds(200) }) {
                #expect(await $0.failure("PING") != nil)
            }
        }
    }

    @Test func theNameInTheCertificateCounts() async throws {
        let certificates = try await TestCertificates(names: "DNS:redis.example.org,IP:192.0.2.1")
        var options = RedisServerProcess.Options()
        options.certificates = certificates
        try await withRedis(options) { server in
            for host in ["localhost", "127.0.0.1"] {
                var endpoint = RedisEndpoint(.server(.tcp(host: host, port: server.port)))
                endpoint.tls = RedisTLS(authorityFile: certificates.authorityFile)
                try await withClient(endpoint) { #expect(await $0.failure("PING")?.code == .misconfigured) }
                endpoint.tls?.verification = .withoutName
                try await withClient(endpoint) { #expect(await $0.failure("PING") == nil) }
            }
        }
    }

    @Test func aClientCertificateIsShownWhereOneIsWanted() async throws {
        let certificates = try await TestCertificates()
        var options = RedisServerProcess.Options()
        options.certificates = certificates
        options.lines = ["tls-auth-clients yes"]
        try await withRedis(options) { server in
            var endpoint = RedisEndpoint(.server(.tcp(host: "localhost", port: server.port)))
            endpoint.tls = RedisTLS(authorityFile: certificates.authorityFile)
            try await withClient(endpoint, { $0.patience = .milliseconds(500) }) {
                #expect(await $0.failure("PING") != nil)
            }
            endpoint.tls?.certificateFile = certificates.clientCertificateFile
            endpoint.tls?.keyFile = certificates.clientKeyFile
            try await withClient(endpoint) { #expect(await $0.failure("PING") == nil) }
        }
    }
}
