import HTTP1
import JSON
import NIOCore
package import Settings
package import Upstream

/// The settings of a router process.
package enum RouterSettings {
    package static let listen = Setting(
        "router.listen", default: [RouterListen(plain: .tcp(host: "127.0.0.1", port: 8000))],
        kind: SettingKind<RouterListen>.routerListen.list(atMost: 64),
        help: """
            Where browsers, or nginx in front, connect. %eth0 for HOST stands for all addresses of that interface. \
            fd://NUMBER is a listening socket that was inherited. https:// needs router.tls.
            """,
        example: "http://127.0.0.1:8000")
    package static let socketMode = Setting(
        "router.socket_mode", default: "0660",
        help: "Permission bits of the files of the router's Unix sockets.",
        bounds: "an octal number such as \"0660\"", accepts: { Self.mode($0) != nil })
    package static let socketOwner = Setting(
        "router.socket_owner", default: "",
        help: """
            Whom the files of the router's Unix sockets are given to: "user", "user:group" or ":group". Without it they stay \
            with the user and group of the process.
            """, example: ":www-data", bounds: "\"user\", \"user:group\" or \":group\"",
        accepts: { $0.isEmpty || SocketFile(owner: $0, mode: nil) != nil })

    package static let takeover = Setting(
        "router.takeover", default: "",
        help: """
            Where the routers of this host share their listening sockets, so that each can be restarted while another one \
            accepts: the absolute path of a Unix socket. Empty for a router that is alone.
            """, example: "/run/carillon/routers.sock", bounds: "an absolute path of at most 100 bytes",
        accepts: { $0.isEmpty || ($0.hasPrefix("/") && $0.utf8.count <= 100 && !$0.utf8.contains(0)) })

    static func mode(_ text: String) -> UInt32? { UInt32(text, radix: 8).flatMap { $0 <= 0o777 ? $0 : nil } }

    package static let trustedProxies = Setting(
        "router.trusted_proxies", default: ["127.0.0.1", "::1", "unix:"], kind: .trustedProxies,
        help: """
            Whose Forwarded, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Real-IP and X-Request-ID are passed on \
            and added to: addresses, ranges, and unix: for Unix sockets. Everybody else's are replaced.
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

    package static let gatewayQueueTimeout = Setting(
        "router.gateways.queue_timeout", default: .seconds(10), in: Self.times,
        help: """
            How long a browser may wait to be handed over when no gateway has room for it; after that its bytes are \
            tunnelled, or the answer is 503.
            """)

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
        help: """
            Connections that have not sent their first request's path yet; one more closes the oldest of them. As many may \
            wait for a gateway that has room.
            """)
    package static let logRequests = Setting(
        "router.log_requests", default: false,
        help: "Whether each request leaves a line at level info; otherwise it does at level debug.")

    package static let accessLog = Setting(
        "router.access_log",
        help: """
            Where each request leaves a line: the absolute path of a file, or "stderr". SIGHUP and SIGUSR1 open the file \
            anew. A full disk loses lines, and stops nothing.
            """, example: "/var/log/carillon/access.log")
    package static let accessLogFormat = Setting(
        "router.access_log_format", default: AccessLogConfiguration.Format.text,
        help: """
            text is the combined form (and after it host, request identifier, seconds and upstream), json one object a line.
            """)
    package static let via = Setting(
        "router.via", default: true,
        help: """
            Whether requests to upstreams get a Via field, as proxies are asked to. Some servers compress nothing for \
            requests that have one.
            """)

    package static let all: [any AnySetting] =
        [
            Self.listen, Self.socketMode, Self.socketOwner, Self.takeover, Route.setting, RouterPoolSettings.pools,
            Self.trustedProxies, Self.gatewayPath, Self.gateways, Self.gatewayQueueTimeout, Self.headTimeout,
            Self.bodyTimeout, Self.sendTimeout, Self.idleTimeout, Self.tunnelTimeout, Self.undecidedLimit,
            Self.logRequests, Self.accessLog, Self.accessLogFormat, Self.via,
        ] + RouterTLSSettings.all + RouterWorkersSettings.all

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

    package static let retries = Setting(
        "router.workers.retries", default: Self.defaults.retries, in: 0...16, unit: "attempts",
        help: """
            How often a request whose worker ended the connection without an answer is sent to another one. Only requests \
            that may be repeated (GET, HEAD, OPTIONS, PUT, DELETE), and while their body is at hand (64 KiB).
            """)
    package static let slowStart = Setting(
        "router.workers.slow_start", default: Duration(Self.defaults.slowStart), in: .zero...(.seconds(3_600)),
        help: "How long a worker that has come back gets less than its share of requests, growing to all of it.")
    package static let healthCheck = StructuredSetting(
        "router.workers.health_check", wanted: "{ \"path\": \"/healthz\" }", default: JSONValue(.null),
        help: """
            Asks each worker for path from time to time; a status from 200 to 399 is well. Other keys: host, interval ("5s"), \
            timeout ("2s"), failures (2) and successes (2) in a row until it counts.
            """, example: "{ \"path\": \"/healthz\", \"interval\": \"5s\" }")
    package static let tls = StructuredSetting(
        "router.workers.tls", wanted: "{ \"ca\": \"/PATH\" }", default: JSONValue(.null),
        help: """
            How workers at https:// are spoken to: ca (a PEM file; without it the system's authorities), server_name, verify \
            (true), and certificate and key for workers that ask who we are.
            """, example: "{ \"ca\": \"/etc/carillon/workers-ca.pem\" }")

    package static let fastCGI = StructuredSetting(
        "router.workers.fastcgi", wanted: "{ \"root\": \"/PATH\" }", default: JSONValue(.null),
        help: """
            What workers at fastcgi:// are told. For scripts: root (their folder as the worker sees it), index \
            ("index.php"), script (for paths that name none) and suffix (".php"); for other applications prefix. Further \
            parameters and keep_connections (true).
            """, example: "{ \"root\": \"/srv/site\", \"script\": \"/index.php\" }")

    package static let all: [any AnySetting] = [
        upstreams, connectTimeout, responseTimeout, readTimeout, keepAlive, connections, queue, queueTimeout, backOff,
        retries, slowStart, healthCheck, tls, fastCGI,
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
