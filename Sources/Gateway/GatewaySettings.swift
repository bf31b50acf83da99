import HTTP1
package import Settings

/// The settings of a gateway; routes have their own (`RouteConfiguration.setting`), and so have channels that browsers
/// choose (`ClientConfiguration.setting`).
package enum GatewaySettings {
    private static let defaults = GatewayConfiguration()

    package static let path = Setting(
        "gateway.path", default: Self.defaults.pathPrefix,
        help: """
            What every path of the gateway begins with. A site in a sub-directory changes it, together with \
            router.gateways.path.
            """,
        bounds: "a path with a slash at both ends, such as \"/site/channels/\"",
        accepts: { $0.hasPrefix("/") && $0.hasSuffix("/") && $0.utf8.count <= 256 })

    package static let allowedOrigins = Setting(
        "gateway.allowed_origins", default: Self.defaults.allowedOrigins, kind: .origins,
        help: """
            Origins whose pages may connect; others are refused with 403. "self" is the host that the page connects to, \
            ".example.org" a domain with its subdomains, "*" lets in all. A list replaces the default: name "self" in it to \
            keep the own host. A route's allowed_origins count instead of these, in the same way.
            """, example: "[\"self\", \"https://example.org\", \"https://.example.net\"]")

    package static let trustedProxies = Setting(
        "gateway.trusted_proxies", default: Self.defaults.trustedProxies, kind: .proxies,
        help: """
            Whose X-Forwarded-For and X-Real-IP are believed: addresses, ranges, and unix: for Unix sockets. Everybody \
            else's are ignored.
            """, example: "[\"127.0.0.1\", \"10.0.0.0/8\", \"unix:\"]")

    package static let compression = Setting(
        "gateway.compression", default: Self.defaults.compression,
        help: "Agrees to permessage-deflate (RFC 7692). Saves bandwidth on large messages and costs processor time.")

    package static let connectionLimit = Setting(
        "gateway.connection_limit", default: Self.defaults.limits.total, in: 1...10_000_000, unit: "connections",
        help: "Browsers connected at once; one more is refused with 503. Each needs a descriptor.")

    package static let connectionsPerAddress = Setting(
        "gateway.connections_per_address", default: 0, in: 0...10_000_000, unit: "connections",
        help: "Connections from one address (of IPv6: one /64); one more is refused with 429. 0 sets no limit.")

    package static let connectionsPerUser = Setting(
        "gateway.connections_per_user", default: 0, in: 0...10_000_000, unit: "connections",
        help: "Connections of one user; one more is refused with 429. 0 sets no limit.")

    package static let messageLimit = Setting(
        "gateway.message_limit", default: Self.defaults.session.messageLimit, in: 1_024...67_108_864, unit: "bytes",
        help: "Size of one message from a browser. A larger one closes the connection with 1009.")

    package static let messageRate = Setting(
        "gateway.message_rate", default: 100, in: 1...1_000_000, unit: "messages a second",
        help: "Messages from one browser, in the long run. More of them close the connection with 1008.")

    package static let messageBurst = Setting(
        "gateway.message_burst", default: 200, in: 1...1_000_000, unit: "messages",
        help: "Messages that one browser may send at once, above the rate.")

    package static let sendQueueLimit = Setting(
        "gateway.send_queue_limit", default: Self.defaults.session.sendQueueLimit, in: 4_096...1_073_741_824,
        unit: "bytes",
        help: "Bytes one connection may have waiting to be sent. Past it the connection is closed as slow (3008).")

    package static let pingInterval = Setting(
        "gateway.ping_interval", default: .seconds(Self.defaults.session.pingInterval), in: Self.wholeTimes,
        help: """
            How often a browser is pinged, and an event stream gets a comment. Shorter than the read timeout of a proxy \
            in front.
            """)

    package static let pongTimeout = Setting(
        "gateway.pong_timeout", default: .seconds(Self.defaults.session.pongTimeout), in: Self.wholeTimes,
        help: "How long a browser may take to answer a ping. Then the connection is closed with 3012.")

    package static let idleTimeout = Setting(
        "gateway.idle_timeout", default: .seconds(Self.defaults.session.idleTimeout), in: .zero...(.seconds(86_400)),
        help: "Time without a message in either direction after which a connection is closed; 0s never.")

    package static let closeTimeout = Setting(
        "gateway.close_timeout", default: .seconds(Self.defaults.session.closeTimeout), in: Self.wholeTimes,
        help: "How long a browser may take to answer a close before its connection is cut.")

    package static let handshakeTimeout = Setting(
        "gateway.handshake_timeout", default: .seconds(Self.defaults.handshakeTimeout), in: Self.wholeTimes,
        help: "From the connection to the end of the handshake; who is slower is cut off.")

    package static let slice = Setting(
        "gateway.slice", default: Self.defaults.slice, in: 1...1_000_000, unit: "connections",
        help: """
            Followers of one group that are written to before others get their turn. Smaller: pings and small groups wait \
            less; larger: big groups cost less.
            """)

    package static let eventStreamRetry = Setting(
        "gateway.event_stream_retry", default: .milliseconds(Self.defaults.eventStreamRetry),
        in: .milliseconds(100)...(.seconds(3_600)),
        help: "How long the browser of an event stream waits before it comes back.")

    package static let drainTime = Setting(
        "gateway.drain_time", default: Self.defaults.drainTime, in: .zero...(.seconds(3_600)),
        help: "Time over which a stopping gateway sends its browsers away, so that they do not come back all at once.")

    package static let all: [any AnySetting] = [
        RouteConfiguration.setting, ClientConfiguration.setting, LifecycleConfiguration.setting, path, allowedOrigins,
        trustedProxies, compression, connectionLimit,
        connectionsPerAddress, connectionsPerUser, messageLimit, messageRate, messageBurst, sendQueueLimit,
        pingInterval, pongTimeout, idleTimeout, closeTimeout, handshakeTimeout, slice, eventStreamRetry, drainTime,
    ]

    private static let wholeTimes = Duration.seconds(1)...Duration.seconds(86_400)
}

extension GatewayConfiguration {
    /// The values of all settings under `gateway`; faults are the reader's.
    package init(reading reader: SettingsReader) {
        self.init()
        self.pathPrefix = reader.value(GatewaySettings.path)
        self.routes = RouteConfiguration.all(reading: reader, prefix: self.pathPrefix)
        self.client = ClientConfiguration(reading: reader)
        self.lifecycle = LifecycleConfiguration(reading: reader)
        self.allowedOrigins = reader.value(GatewaySettings.allowedOrigins)
        self.trustedProxies = reader.value(GatewaySettings.trustedProxies)
        self.compression = reader.value(GatewaySettings.compression)
        self.limits = ConnectionLimits(
            total: reader.value(GatewaySettings.connectionLimit),
            perAddress: Self.limit(reader.value(GatewaySettings.connectionsPerAddress)),
            perUser: Self.limit(reader.value(GatewaySettings.connectionsPerUser)))
        self.handshakeTimeout = Self.seconds(reader.value(GatewaySettings.handshakeTimeout))
        self.slice = reader.value(GatewaySettings.slice)
        self.drainTime = reader.value(GatewaySettings.drainTime)
        self.eventStreamRetry = Self.milliseconds(reader.value(GatewaySettings.eventStreamRetry))
        self.session = SessionSettings(reading: reader)
    }

    /// 0 stands for none.
    private static func limit(_ value: Int) -> Int { value == 0 ? .max : value }

    private static func milliseconds(_ time: Duration) -> Int {
        let (seconds, attoseconds) = time.components
        return Int(clamping: seconds) * 1_000 + Int(clamping: attoseconds / 1_000_000_000_000_000)
    }

    /// Whole seconds, rounded up, since none of these times means "never" when it is short.
    fileprivate static func seconds(_ time: Duration) -> Int { (Self.milliseconds(time) + 999) / 1_000 }
}

extension SessionSettings {
    fileprivate init(reading reader: SettingsReader) {
        self.init()
        self.messageLimit = reader.value(GatewaySettings.messageLimit)
        self.messageRate = RateLimit(
            perSecond: reader.value(GatewaySettings.messageRate), burst: reader.value(GatewaySettings.messageBurst))
        self.sendQueueLimit = reader.value(GatewaySettings.sendQueueLimit)
        self.pingInterval = GatewayConfiguration.seconds(reader.value(GatewaySettings.pingInterval))
        self.pongTimeout = GatewayConfiguration.seconds(reader.value(GatewaySettings.pongTimeout))
        self.idleTimeout = GatewayConfiguration.seconds(reader.value(GatewaySettings.idleTimeout))
        self.closeTimeout = GatewayConfiguration.seconds(reader.value(GatewaySettings.closeTimeout))
    }
}

extension SettingKind where Value == [String] {
    fileprivate static var origins: SettingKind<[String]> {
        SettingKind<String>.string("an origin such as \"https://example.org\"").list().converted {
            _ = try OriginCheck(allowing: $0)
            return $0
        } back: {
            $0
        }
    }

    fileprivate static var proxies: SettingKind<[String]> {
        SettingKind<String>.string("an address such as \"10.0.0.0/8\", or \"unix:\"").list().converted {
            _ = try TrustedProxies($0)
            return $0
        } back: {
            $0
        }
    }
}
