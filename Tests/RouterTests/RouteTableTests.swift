import Files
import HTTP1
import NIOCore
import Settings
import TestSupport
import Testing

@testable import Router
@testable import Upstream

/// Which route a request takes, without a socket.
@Suite struct RouteTableTests {
    private static func route(_ host: String?, _ path: String, _ pool: Int) throws -> Route {
        Route(host: try host.map { try #require(HostPattern($0)) }, path: path, target: .pool(pool))
    }

    private static func table() throws -> RouteTable {
        RouteTable(
            gatewayPath: "/channels/",
            routes: [
                try Self.route(nil, "/", 10), try Self.route(nil, "/app", 11), try Self.route(nil, "/app/deep/", 12),
                try Self.route("example.org", "/app/", 20), try Self.route("*.example.org", "/", 30),
                try Self.route("*.eu.example.org", "/", 31), try Self.route("a.eu.example.org", "/x/", 32),
            ])
    }

    @Test(arguments: [
        ("other", "/", 10), ("other", "/appx", 10), ("other", "/app", 11), ("other", "/app/", 11),
        ("other", "/app?x=/app/deep/", 11), ("other", "/app/deep/y", 12), ("other", "/app/deep", 11),
        ("example.org", "/app/deep/", 20), ("EXAMPLE.org:8000", "/app/x", 20), ("example.org.", "/app/x", 20),
        ("example.org", "/y", 10), ("b.example.org", "/app/", 30), ("a.b.example.org", "/", 30),
        ("b.eu.example.org", "/", 31), ("a.eu.example.org", "/x/", 32), ("a.eu.example.org", "/y", 31),
        ("b.example.org", "/channels/", PoolNumber.gateways), ("[::1]:80", "/", 10),
    ])
    func theMostSpecificOneIsTaken(_ host: String, _ target: String, _ pool: Int) throws {
        #expect(try Self.table().route(target: target, host: host).target == .pool(pool))
    }

    @Test func withoutAHostThoseOfEveryHostAreTaken() throws {
        #expect(try Self.table().route(target: "/app/", host: nil).target == .pool(11))
        #expect(try Self.table().route(target: "*", host: "a").target == .pool(PoolNumber.workers))
    }

    @Test(arguments: [
        "/x/../app/", "/%61pp/", "//app/", "/app/deep/../../x", "/app/deep/%2e%2e/", "/./app/", "/x%2f..%2fapp",
        "/channels/../app/", "/%63hannels/", "//channels/x", "/app/deep//../x",
    ])
    func aPathThatTwoWouldReadDifferentlyIsRefused(_ target: String) throws {
        #expect(throws: RouteTable.Ambiguous.self) { try Self.table().route(target: target, host: "other") }
    }

    @Test(arguments: ["/a%20b", "/.well-known/x", "/x//y", "/x/../y", "/%ff%zz", "/..", "/a/.", "/%", "/app/%2e/x"])
    func whatAllReadAlikeIsTaken(_ target: String) throws {
        let pool = target.hasPrefix("/app") ? 11 : 10
        #expect(try Self.table().route(target: target, host: "other").target == .pool(pool))
    }

    @Test func nothingMakesResolvingTrapOrGrow() {
        var generator = SeededGenerator(seed: 7)
        let pieces = ["/", ".", "..", "%2e", "%2F", "%", "a", "//", "%zz", "é", "?"]
        for _ in 0..<20_000 {
            let path = (0..<Int.random(in: 0..<12, using: &generator)).map { _ in
                pieces.randomElement(using: &generator) ?? ""
            }.joined()
            let resolved = RequestPath.resolved(path[...].utf8)
            #expect(resolved.utf8.count <= path.utf8.count * 3 + 1)
            #expect(resolved.hasPrefix("/") && !resolved.contains("//"))
        }
    }

    @Test(arguments: ["", "*", "*.", "a b", "a/b", "a:80", ".a", "http://a", "*.*.a"])
    func whatIsNoHostIsNoPattern(_ text: String) {
        #expect(HostPattern(text) == nil)
    }

    @Test func aRedirectKeepsWhatItIsTold() {
        let uri = Redirect(to: "https://{host}{uri}")
        #expect(uri.location(target: "/a?b=c", host: "Example.org:80") == "https://example.org/a?b=c")
        #expect(Redirect(to: "/new{path}").location(target: "/a?b", host: nil) == "/new/a")
        // Nothing in front: two slashes would be another host.
        #expect(Redirect(to: "{uri}").location(target: "//evil/x", host: nil) == "/evil/x")
        #expect(Redirect(to: "{path}x").location(target: "/\\evil", host: nil) == "/evilx")
        #expect(Redirect(to: "https://a/").location(target: "/b", host: "c") == "https://a/")
    }

    // MARK: Settings

    private func configuration(_ file: String) throws -> RouterConfiguration {
        let reader = SettingsReader(path: "f", text: ByteBuffer(string: file), known: RouterSettings.all)
        let configuration = RouterConfiguration(reading: reader)
        try reader.finish()
        return configuration
    }

    @Test func everyKindOfRouteCanBeSaid() throws {
        let configuration = try self.configuration(
            """
            { "router": {
              "listen": ["http://%lo:0", "https://127.0.0.1:8443", "unix:///run/r.sock", "https+fd://3"],
              "socket_mode": "0600", "socket_owner": "www-data:www-data",
              "pools": { "php": { "upstreams": ["https://127.0.0.1:9000", "unix:///run/p.sock"], "queue": 3,
                                  "health_check": { "path": "/up", "interval": "1s" }, "slow_start": "10s",
                                  "retries": 0, "tls": { "verify": false } } },
              "workers": { "health_check": { "path": "/healthz" }, "retries": 2 },
              "tls": { "certificates": [ { "certificate": "/c.pem", "key": "/k.pem", "hosts": ["a.example"] } ] },
              "access_log": "/var/log/a.log", "access_log_format": "json", "via": false,
              "routes": [
                { "path": "/static/", "folder": "/srv/static", "cache_control": "max-age=60" },
                { "host": "old.example.org", "path": "/", "redirect": "https://example.org{uri}", "status": 301 },
                { "host": "*.example.org", "path": "/blog", "pool": "php", "client_certificate": "required" },
                { "path": "/live/", "pool": "gateways" } ] } }
            """)
        #expect(configuration.listen == [.tcp(host: "%lo", port: 0), .unix(path: "/run/r.sock")])
        #expect(configuration.secureListen == [.tcp(host: "127.0.0.1", port: 8443), .descriptor(3)])
        #expect(configuration.socketFile == SocketFile(mode: 0o600, owner: "www-data", group: "www-data"))
        let pool = try #require(configuration.pools.first)
        #expect(pool.name == "php" && pool.upstreams.queueLimit == 3 && pool.upstreams.retries == 0)
        #expect(pool.upstreams.healthCheck?.interval == .seconds(1) && pool.upstreams.slowStart == .seconds(10))
        #expect(pool.upstreams.usesTLS && !configuration.workers.usesTLS)
        #expect(configuration.workers.healthCheck?.path == "/healthz" && configuration.workers.retries == 2)
        #expect(configuration.accessLog == AccessLogConfiguration(target: .file("/var/log/a.log"), format: .json))
        #expect(!configuration.writesVia)
        #expect(
            configuration.routes.map(\.target) == [
                .files(FileFolder(folder: "/srv/static", prefix: "/static/", cacheControl: "max-age=60")),
                .redirect(Redirect(to: "https://example.org{uri}", status: 301)), .pool(PoolNumber.firstNamed),
                .pool(PoolNumber.gateways),
            ])
        #expect(configuration.routes[2].clientCertificate == .required)
    }

    @Test(arguments: [
        (#""routes": [ { "path": "/a/" } ]"#, "none of pool, folder and redirect"),
        (#""routes": [ { "path": "/a/", "pool": "workers", "folder": "/x" } ]"#, "more than one"),
        (#""routes": [ { "path": "a", "pool": "workers" } ]"#, "a path that begins with a slash"),
        (#""routes": [ { "path": "/a/../b", "pool": "workers" } ]"#, "a path that begins with a slash"),
        (#""routes": [ { "path": "/channels/x", "pool": "workers" } ]"#, "is the gateways'"),
        (
            #""routes": [ { "path": "/a/", "pool": "pph" } ], "pools": { "php": { "upstreams": ["http://a:1"] } }"#,
            "php"
        ),
        (#""routes": [ { "path": "/a/", "folder": "srv" } ]"#, "an absolute path"),
        (#""routes": [ { "path": "/a", "folder": "/srv" } ]"#, "ends with a slash"),
        (#""routes": [ { "path": "/a", "redirect": "/b", "status": 304 } ]"#, "308"),
        (#""routes": [ { "host": "a b", "path": "/a", "pool": "workers" } ]"#, "a host"),
        (
            #""routes": [ { "path": "/a", "pool": "workers" }, { "path": "/a", "pool": "workers" } ]"#,
            "stands above already"
        ),
        (#""pools": { "workers": { "upstreams": ["http://a:1"] } }"#, "is there already"),
        (#""pools": { "php": { "upstream": ["http://a:1"] } }"#, "upstreams"),
        (#""pools": { "php": { "upstreams": ["http://a:1"], "health_check": { "path": "up" } } }"#, "a path"),
        (#""pools": { "php": { "upstreams": ["http://a:1"], "tls": { "key": "/k" } } }"#, "certificate"),
        (#""access_log": "access.log""#, "an absolute path"), (#""listen": ["ftp://a:1"]"#, "https://"),
        (#""socket_mode": "999""#, "octal"), (#""socket_owner": "a:""#, "user"),
    ])
    func whatCannotBeMeantIsTold(_ members: String, _ hint: String) throws {
        let faults = #expect(throws: SettingsFaults.self) { try self.configuration("{ \"router\": { \(members) } }") }
        #expect(faults.map { "\($0)" }?.contains(hint) == true, "\(faults.map { "\($0)" } ?? "no fault")")
    }
}
