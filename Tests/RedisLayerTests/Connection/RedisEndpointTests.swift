import JSON
import NIOCore
import Settings
import TestSupport
import Testing

@testable import RedisLayer

@Suite struct RedisEndpointTests {
    private typealias Credentials = RedisEndpoint.Credentials

    private func url(_ text: String) throws(RedisEndpointError) -> RedisEndpoint { try RedisEndpoint(parsing: text) }

    private func tcp(_ host: String, _ port: Int = 6_379) -> RedisEndpoint.Place {
        .server(.tcp(host: host, port: port))
    }

    @Test func urlsAreReadAsPythonDoes() throws {
        #expect(try self.url("redis://localhost:6379").place == RedisEndpoint.local.place)
        #expect(try self.url("redis://").place == self.tcp("localhost"))
        #expect(try self.url("redis://example.org").place == self.tcp("example.org"))
        #expect(try self.url("redis://[::1]:7000/3").place == self.tcp("::1", 7_000))
        #expect(try self.url("redis://h/3").database == 3)
        #expect(try self.url("redis://h/").database == 0)
        #expect(try self.url("redis://h?db=4").database == 4)
        #expect(try self.url("redis://:p%40ss@h:1").credentials == Credentials(password: "p@ss"))
        #expect(try self.url("redis://user:a@b@h:1").credentials == Credentials(username: "user", password: "a@b"))
        #expect(
            try self.url("redis://h?password=p&username=u").credentials == Credentials(username: "u", password: "p"))
        #expect(try self.url("REDIS://h").tls == nil)
        #expect(try self.url("rediss://h").tls == RedisTLS())
        #expect(
            try self.url("rediss://h?ssl_cert_reqs=none&ssl_ca_certs=/a.pem").tls
                == RedisTLS(verification: .none, authorityFile: "/a.pem"))
        #expect(
            try self.url("rediss://h?ssl_certfile=/c&ssl_keyfile=/k&ssl_check_hostname=false&socket_timeout=3").tls
                == RedisTLS(verification: .withoutName, certificateFile: "/c", keyFile: "/k"))
        let socket = try self.url("unix:///run/redis%20a.sock?db=2&password=x")
        #expect(socket.place == .server(.unix(path: "/run/redis a.sock")))
        #expect(socket.database == 2)
        #expect(socket.credentials == Credentials(password: "x"))
        #expect(try self.url("unix://:secret@/run/r.sock").credentials == Credentials(password: "secret"))
    }

    @Test(arguments: [
        "localhost", "http://localhost", "redis://secret@h", "redis://h:port", "redis://h:0", "redis://h:65536",
        "redis://h/one", "redis://h/1/2", "redis://h/-1", "redis://h?dbb=secret", "redis://[::1", "redis://[::1]7",
        "redis://%zz@h", "unix://relative", "unix:///\(String(repeating: "secret", count: 30))", "redis://h?ssl=maybe",
        "redis://h?username=secret", "rediss://h?ssl_cert_reqs=secret",
    ]) func whatIsNoURLIsToldWithoutSecrets(_ text: String) {
        let error = #expect(throws: RedisEndpointError.self) { try self.url(text) }
        #expect(error?.description.contains("wanted redis://") == true)
        #expect(error?.description.contains("secret") == false)
    }

    private static let hosts = StructuredSetting(
        "hosts", wanted: "a list", default: JSONValue(.array([])), help: "Test.", example: "[]")

    /// The endpoints of a list in JSON, and what was wrong.
    private func read(_ json: String) throws -> (endpoints: [RedisEndpoint?], faults: String) {
        let reader = SettingsReader(environment: ["CARILLON_HOSTS": json, "SECRET": "p"], known: [Self.hosts])
        let endpoints = reader.node(Self.hosts)?.elements().map(RedisEndpoint.read) ?? []
        do {
            try reader.finish()
            return (endpoints, "")
        } catch {
            return (endpoints, "\(error)")
        }
    }

    @Test func everyFormOfAHostIsRead() throws {
        let (endpoints, faults) = try self.read(
            """
            ["redis://:${SECRET}@a:1/2", ["b", 7000], {"address": "rediss://c", "db": 3, "password": "x"},
             {"host": "d", "port": 7001, "username": "u", "password": "${SECRET}", "ssl": true, "socket_timeout": null},
             {"sentinels": [["s1", 26379], ["s2", 26380], "s3"], "master_name": "mymaster", "db": 1, "password": "m",
              "sentinel_kwargs": {"password": "s", "ssl": true, "ssl_cert_reqs": "none"}}]
            """)
        #expect(faults == "")
        try #require(endpoints.count == 5)
        #expect(endpoints[0]?.credentials == Credentials(password: "p"))
        #expect(endpoints[0]?.database == 2)
        #expect(endpoints[0]?.setting == "hosts[0]")
        #expect(endpoints[1]?.place == self.tcp("b", 7_000))
        #expect(endpoints[2]?.place == self.tcp("c"))
        #expect(endpoints[2]?.tls == RedisTLS())
        #expect(endpoints[2]?.database == 3)
        #expect(endpoints[2]?.credentials == Credentials(password: "x"))
        #expect(endpoints[3]?.place == self.tcp("d", 7_001))
        #expect(endpoints[3]?.credentials == Credentials(username: "u", password: "p"))
        #expect(endpoints[3]?.tls == RedisTLS())
        let sentinels = RedisEndpoint.Sentinels(
            addresses: [
                .tcp(host: "s1", port: 26_379), .tcp(host: "s2", port: 26_380), .tcp(host: "s3", port: 26_379),
            ],
            masterName: "mymaster", credentials: Credentials(password: "s"), tls: RedisTLS(verification: .none))
        #expect(endpoints[4]?.place == .sentinels(sentinels))
        #expect(endpoints[4]?.credentials == Credentials(password: "m"))
        #expect(endpoints[4]?.database == 1)
    }

    @Test(arguments: [
        #"[5]"#, #"["redis:/secret"]"#, #"[["a", 70000]]"#, #"[{"hots": "a"}]"#, #"[{"sentinels": [["a", 1]]}]"#,
        #"[{"sentinels": 5, "master_name": "m"}]"#, #"[{"address": "redis://u:secret@h:x"}]"#,
        #"[{"host": "h", "port": "secret"}]"#, #"[{"password": ["secret"]}]"#, #"[{"host": "h", "db": "zero"}]"#,
    ]) func aHostThatCannotBeUsedIsToldWithItsSetting(_ json: String) throws {
        let (_, faults) = try self.read(json)
        #expect(faults.contains("hosts[0]"))
        #expect(!faults.contains("secret"))
    }
}

@Suite struct RedisHandshakeTests {
    private func problem(
        _ step: RedisHandshake.Step, _ answer: String, _ change: (inout RedisEndpoint) -> Void = { _ in }
    ) -> RedisError? {
        var endpoint = RedisEndpoint.local
        endpoint.setting = "hosts[3]"
        change(&endpoint)
        return RedisHandshake(endpoint).problem(
            step, .failure(RedisError(RedisServerError(message: answer))))
    }

    @Test func onlyWhatIsNeededIsSaid() {
        var endpoint = RedisEndpoint.local
        #expect(RedisHandshake(endpoint).steps == [.ping])
        endpoint.credentials = .init(password: "p")
        endpoint.database = 2
        endpoint.clientName = "carillon"
        #expect(RedisHandshake(endpoint).steps == [.authenticate, .select, .name, .ping])
        endpoint.place = .sentinels(.init(addresses: [], masterName: "m"))
        #expect(RedisHandshake(endpoint).steps.contains(.role))
    }

    @Test func refusalsNameTheSetting() {
        let wrong = self.problem(.authenticate, "WRONGPASS invalid username-password pair or user is disabled.")
        #expect(wrong?.code == .refused)
        #expect(wrong?.message.contains("hosts[3]") == true)
        #expect(self.problem(.authenticate, "ERR AUTH <password> called without any password")?.code == .refused)
        #expect(self.problem(.select, "ERR DB index is out of range")?.code == .misconfigured)
        #expect(self.problem(.ping, "NOAUTH Authentication required.")?.message.contains("has none") == true)
        #expect(self.problem(.ping, "LOADING Redis is loading the dataset in memory")?.code == .unavailable)
        #expect(self.problem(.name, "NOPERM this user has no permissions") == nil)
        #expect(self.problem(.ping, "NOPERM this user has no permissions") == nil)
    }
}
