import HTTP1
import NIOCore
package import Settings
package import Upstream

/// The settings of a router process.
package enum RouterSettings {
    package static let listen = Setting(
        "router.listen", default: [ListenAddress.tcp(host: "127.0.0.1", port: 8000)],
        kind: SettingKind<ListenAddress>.listenAddress.list(atMost: 64),
        help: "Where browsers, or nginx in front, connect. fd://NUMBER is a listening socket that was inherited.",
        example: "http://127.0.0.1:8000")
    package static let trustedProxies = Setting(
        "router.trusted_proxies", default: ["127.0.0.1", "::1", "unix:"], kind: .trustedProxies,
        help: """
            Whose X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Real-IP and X-Request-ID are passed on and added \
            to: addresses, ranges, and unix: for Unix sockets. Everybody else's are replaced.
            """)

    package static let gatewayPath = Setting(
        "router.gateways.path", default: "/channels/", kind: .pathPrefix,
        help: "The path prefix of the gateways; everything else is the workers'. Sites in a sub-directory change it.")
    package static let gateways = Setting(
        "router.gateways.upstreams", default: [UpstreamAddress.tcp(host: "127.0.0.1", port: 8001)],
        kind: SettingKind<UpstreamAddress>.upstreamAddress.list(atMost: 64),
        help: """
            The gateways. One at unix:///PATH on this host is handed the browsers' sockets themselves (through PATH.handoff), \
            one at http://HOST:PORT gets their bytes.
            """, example: "unix:///run/carillon/gateway-0.sock")

    package static let headTimeout = Setting(
        "router.head_timeout", default: .seconds(15), in: Self.times,
        help: "How long the head of a request may take; for the first one, from the connection on.")
    package static let bodyTimeout = Setting(
        "router.body_timeout", default: .seconds(60), in: Self.times,
        help: "How long a browser that is sending a request's body may be quiet.")
    package static let sendTimeout = Setting(
        "router.send_timeout", default: .seconds(60), in: Self.times,
        help: "How long a browser may take nothing of its answer.")
    package static let idleTimeout = Setting(
        "router.idle_timeout", default: .seconds(75), in: Self.times,
        help: "How long a browser's connection is kept between two requests.")
    package static let tunnelTimeout = Setting(
        "router.tunnel_timeout", default: .seconds(300), in: Self.times,
        help: """
            How long a tunnelled WebSocket or event stream may be quiet in both directions. Longer than the gateway's ping \
            interval.
            """)
    package static let undecidedLimit = Setting(
        "router.undecided_limit", default: 20_000, in: 1...10_000_000, unit: "connections",
        help: "Connections that have not sent their first request's path yet. One more closes the oldest of them.")
    package static let logRequests = Setting(
        "router.log_requests", default: false,
        help: "Whether each request leaves a line at level info; otherwise it does at level debug.")

    package static let all: [any AnySetting] =
        [
            Self.listen, Self.trustedProxies, Self.gatewayPath, Self.gateways, Self.headTimeout, Self.bodyTimeout,
            Self.sendTimeout, Self.idleTimeout, Self.tunnelTimeout, Self.undecidedLimit, Self.logRequests,
        ] + RouterWorkersSettings.all

    static let times = Duration.milliseconds(10)...(.seconds(86_400))
}

/// The settings of the way from the router to the workers.
package enum RouterWorkersSettings {
    private static let defaults = UpstreamConfiguration(addresses: [])

    package static let upstreams = Setting(
        "router.workers.upstreams", default: [UpstreamAddress.tcp(host: "127.0.0.1", port: 8002)],
        kind: SettingKind<UpstreamAddress>.upstreamAddress.list(atMost: 64),
        help: "Equal servers that answer HTTP: your application, or carillon worker. The least busy one is asked.",
        example: "http://127.0.0.1:8002")
    package static let connectTimeout = Setting(
        "router.workers.connect_timeout", default: Duration(Self.defaults.connectTime), in: RouterSettings.times,
        help: "How long a connection to a worker may take to be made; after that another worker is tried.")
    package static let responseTimeout = Setting(
        "router.workers.response_timeout", default: Duration(Self.defaults.firstByteTime), in: RouterSettings.times,
        help: "How long a worker may take to begin its answer, once it has the whole request; then the answer is 504.")
    package static let readTimeout = Setting(
        "router.workers.read_timeout", default: Duration(Self.defaults.idleTime), in: RouterSettings.times,
        help: "How long a worker may be quiet in the middle of an answer, or not take a request's body.")
    package static let keepAlive = Setting(
        "router.workers.keep_alive", default: Duration(Self.defaults.keepAliveTime), in: RouterSettings.times,
        help: "How long an unused connection to a worker is kept. Shorter than the worker keeps it.")
    package static let connections = Setting(
        "router.workers.connections", default: Self.defaults.maxConnections, in: 1...1_000_000, unit: "connections",
        help: "Connections to one worker. More requests wait in the queue.")
    package static let queue = Setting(
        "router.workers.queue", default: Self.defaults.queueLimit, in: 0...1_000_000, unit: "requests",
        help: "Requests that may wait for a connection, for each event loop. One more is answered 503.")
    package static let queueTimeout = Setting(
        "router.workers.queue_timeout", default: Duration(Self.defaults.queueTime), in: RouterSettings.times,
        help: "How long a request may wait for a connection; then the answer is 503.")
    package static let backOff = Setting(
        "router.workers.back_off", default: Duration(Self.defaults.backOff), in: RouterSettings.times,
        help: """
            How long a worker that did not answer is left alone, if there are others; doubled each time it fails again, \
            up to half a minute.
            """)

    package static let all: [any AnySetting] = [
        upstreams, connectTimeout, responseTimeout, readTimeout, keepAlive, connections, queue, queueTimeout, backOff,
    ]
}

extension SettingKind where Value == UpstreamAddress {
    /// `http://HOST:PORT` or `unix:///PATH`.
    package static var upstreamAddress: SettingKind<UpstreamAddress> {
        SettingKind<String>.string(UpstreamAddress.wanted)
            .converted {
                try UpstreamAddress(parsing: $0)
            } back: {
                $0.description
            }
    }
}

extension SettingKind where Value == [String] {
    /// Addresses, ranges, and `unix:`.
    static var trustedProxies: SettingKind<[String]> {
        SettingKind<String>.string("an address such as \"10.0.0.0/8\", or \"unix:\"").list().converted {
            _ = try TrustedProxies($0)
            return $0
        } back: {
            $0
        }
    }
}

extension SettingKind where Value == String {
    /// A path that begins and ends with a slash, or nothing.
    static var pathPrefix: SettingKind<String> {
        let wanted = "a path with a slash at both ends, such as \"/channels/\", or \"\""
        return SettingKind<String>.string(wanted).converted { text in
            guard text.isEmpty || (text.utf8.first == 0x2F && text.utf8.last == 0x2F), text.utf8.count <= 256,
                text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") })
            else { throw SettingMismatch(wanted: wanted) }
            return text
        } back: {
            $0
        }
    }
}

extension Duration {
    init(_ amount: TimeAmount) { self = .nanoseconds(amount.nanoseconds) }
}
