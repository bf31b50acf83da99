import HTTP1
import JSON
import NIOCore
package import Settings
package import Upstream

/// A pool of upstreams with a name, for routes.
package struct NamedPool: Sendable {
    package var name: String
    package var upstreams: UpstreamConfiguration

    package init(name: String, upstreams: UpstreamConfiguration) {
        self.name = name
        self.upstreams = upstreams
    }
}

/// What is said about a pool in its own object: the settings of `router.workers` under the same names.
package enum RouterPoolSettings {
    package static let pools = StructuredSetting(
        "router.pools", wanted: "an object of pools, { \"NAME\": { \"upstreams\": [ … ] } }",
        default: JSONValue(.object([])),
        help: """
            Further groups of upstreams, for router.routes. Each has the keys of router.workers: upstreams, \
            connect_timeout, response_timeout, read_timeout, keep_alive, connections, queue, queue_timeout, back_off, \
            retries, slow_start, health_check, tls and fastcgi.
            """,
        example: """
            { "php": { "upstreams": ["http://127.0.0.1:9000"], "response_timeout": "2m", "health_check": { "path": "/up" } } }
            """)

    static let reserved = ["workers", "gateways"]

    /// The pools of the settings, in their order; those with faults are left out, and `reader` has been told.
    static func all(reading reader: SettingsReader) -> [NamedPool] {
        (reader.node(Self.pools)?.members(limit: 100) ?? []).compactMap { name, node in
            guard !Self.reserved.contains(name) else {
                node.note("is there already: router.\(name) says what it is")
                return nil
            }
            guard let upstreams = UpstreamConfiguration(readingPool: node) else { return nil }
            return NamedPool(name: name, upstreams: upstreams)
        }
    }
}

extension UpstreamConfiguration {
    private static let keys = [
        "upstreams", "connect_timeout", "response_timeout", "read_timeout", "keep_alive", "connections", "queue",
        "queue_timeout", "back_off", "retries", "slow_start", "health_check", "tls", "fastcgi",
    ]

    /// One pool; `nil` without upstreams.
    init?(readingPool node: SettingsNode) {
        typealias Names = RouterWorkersSettings
        guard node.allow(Self.keys), let addresses = node.required("upstreams", Names.upstreams.kind) else {
            return nil
        }
        self.init(addresses: addresses)
        func read<Value>(_ key: String, _ setting: Setting<Value>) -> Value {
            node.read(key, setting.kind, default: setting.defaultValue)
        }
        self.connectTime = TimeAmount(read("connect_timeout", Names.connectTimeout))
        self.firstByteTime = TimeAmount(read("response_timeout", Names.responseTimeout))
        self.idleTime = TimeAmount(read("read_timeout", Names.readTimeout))
        self.keepAliveTime = TimeAmount(read("keep_alive", Names.keepAlive))
        self.maxConnections = read("connections", Names.connections)
        self.queueLimit = read("queue", Names.queue)
        self.queueTime = TimeAmount(read("queue_timeout", Names.queueTimeout))
        self.backOff = TimeAmount(read("back_off", Names.backOff))
        self.retries = read("retries", Names.retries)
        self.slowStart = TimeAmount(read("slow_start", Names.slowStart))
        self.healthCheck = node.child("health_check").flatMap { HealthCheck(reading: $0) }
        if let tls = node.child("tls").flatMap({ UpstreamTLS.Options(reading: $0) }) { self.tls = UpstreamTLS(tls) }
        self.fastCGI = node.child("fastcgi").flatMap { FastCGIOptions(reading: $0) } ?? self.fastCGI
        if self.mixesProtocols { node.child("upstreams")?.fault(Self.mixture) }
    }

    private static let mixture = "wanted either FastCGI or HTTP for all upstreams of a pool"

    private var mixesProtocols: Bool { self.speaksFastCGI && !self.addresses.allSatisfy(\.isFastCGI) }

    init(readingForRouter reader: SettingsReader) {
        typealias Names = RouterWorkersSettings
        self.init(addresses: reader.value(Names.upstreams))
        self.connectTime = TimeAmount(reader.value(Names.connectTimeout))
        self.firstByteTime = TimeAmount(reader.value(Names.responseTimeout))
        self.idleTime = TimeAmount(reader.value(Names.readTimeout))
        self.keepAliveTime = TimeAmount(reader.value(Names.keepAlive))
        self.maxConnections = reader.value(Names.connections)
        self.queueLimit = reader.value(Names.queue)
        self.queueTime = TimeAmount(reader.value(Names.queueTimeout))
        self.backOff = TimeAmount(reader.value(Names.backOff))
        self.retries = reader.value(Names.retries)
        self.slowStart = TimeAmount(reader.value(Names.slowStart))
        self.healthCheck = reader.node(Names.healthCheck).flatMap { $0.isNull ? nil : HealthCheck(reading: $0) }
        if let tls = reader.node(Names.tls).flatMap({ $0.isNull ? nil : UpstreamTLS.Options(reading: $0) }) {
            self.tls = UpstreamTLS(tls)
        }
        if let fastCGI = reader.node(Names.fastCGI).flatMap({ $0.isNull ? nil : FastCGIOptions(reading: $0) }) {
            self.fastCGI = fastCGI
        }
        if self.mixesProtocols { reader.fault(Names.upstreams, Self.mixture) }
    }
}

extension FastCGIOptions {
    init?(reading node: SettingsNode) {
        guard node.allow(["root", "index", "script", "suffix", "prefix", "parameters", "keep_connections"]) else {
            return nil
        }
        self.init()
        func path(_ key: String) -> String? {
            let wanted = "a path that begins with a slash"
            return node.optional(
                key,
                SettingKind<String>.string(wanted).converted {
                    guard $0.hasPrefix("/"), !$0.utf8.contains(0) else { throw SettingMismatch(wanted: wanted) }
                    return $0
                } back: {
                    $0
                })
        }
        self.root = path("root")
        self.script = path("script")
        self.prefix = path("prefix").map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 } ?? ""
        self.index = node.optional("index", String.self) ?? self.index
        self.suffix = node.optional("suffix", String.self) ?? self.suffix
        self.keepsConnections = node.optional("keep_connections", Bool.self) ?? true
        for (name, value) in node.child("parameters")?.members(limit: 100) ?? [] {
            if let text = value.read(String.self) { self.parameters[name] = text }
        }
        if self.root == nil, self.script != nil {
            node.missing("root", wanted: "the folder of the scripts, beside script")
        }
    }
}

extension HealthCheck {
    private static let times = Duration.milliseconds(10)...(.seconds(3_600))

    init?(reading node: SettingsNode) {
        guard node.allow(["path", "host", "interval", "timeout", "failures", "successes"]),
            let path = node.required(
                "path", wanted: "a path, such as \"/healthz\"",
                { text in
                    guard text.hasPrefix("/"), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                        throw SettingMismatch(wanted: "a path, such as \"/healthz\"")
                    }
                    return text
                })
        else { return nil }
        self.init(path: path)
        self.host = node.optional("host", String.self) ?? self.host
        let times = SettingKind<Duration>.duration(in: Self.times)
        self.interval = TimeAmount(node.read("interval", times, default: Duration(self.interval)))
        self.timeout = TimeAmount(node.read("timeout", times, default: Duration(self.timeout)))
        self.failures = node.read("failures", .integer(in: 1...1_000, unit: "answers"), default: self.failures)
        self.successes = node.read("successes", .integer(in: 1...1_000, unit: "answers"), default: self.successes)
    }
}

extension UpstreamTLS.Options {
    init?(reading node: SettingsNode) {
        guard node.allow(["ca", "verify", "certificate", "key", "server_name"]) else { return nil }
        self.init()
        self.authorities = node.optional("ca", String.self)
        self.verifies = node.optional("verify", Bool.self) ?? true
        self.certificate = node.optional("certificate", String.self)
        self.key = node.optional("key", String.self)
        self.serverName = node.optional("server_name", String.self)
        if (self.certificate == nil) != (self.key == nil) {
            node.missing(
                self.key == nil ? "key" : "certificate", wanted: "the path of a PEM file, beside the other one")
        }
    }
}
