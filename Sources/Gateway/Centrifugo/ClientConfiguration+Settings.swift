import JSON
package import Settings

extension ClientConfiguration {
    package static let setting = StructuredSetting(
        "gateway.centrifugo", wanted: "an object, { \"token\": …, \"without_namespace\": … }",
        default: JSONValue(.null),
        help: """
            Channels that browsers choose themselves: a WebSocket below gateway.path, at connection/websocket, and other \
            transports, that speak the Centrifugo client protocol, for whose SDKs they are. docs/channels.md tells more. \
            Without it there is none.
            """,
        example: """
            { "token": { "keys": [ { "algorithm": "HS256", "secret": "${CARILLON_JWT_SECRET}" } ] },
              "without_namespace": { "allow_subscribe_for_client": true } }
            """,
        parts: Self.keys.map(\.part) + GroupLinks.parts.map { $0.below("bridge") }
            + ProxyConfiguration.keys.map { $0.part.below("proxy.EVENT") } + [ProxyConfiguration.name]
            + ChannelOptions.keys.map { $0.part.below("namespaces[]") })

    /// Parts of their own.
    private static let structures = [
        "token", "subscription_token", "allowed_origins", "personal_channel", "transports",
        "without_namespace", "namespaces", "proxy", "proxies", "bridge",
    ]

    private static let defaults = ClientConfiguration()

    private static let keys = [
        SettingKey(
            "allow_anonymous_connect_without_token", \.allowsAnonymous, of: Self.defaults, .bool,
            "Who has no token is let in, without a user."),
        SettingKey(
            "disallow_anonymous_connection_tokens", \.refusesAnonymousTokens, of: Self.defaults, .bool,
            "A token without a user is refused with 3507."),
        SettingKey(
            "insecure", \.isInsecure, of: Self.defaults, .bool,
            "Everybody may connect, and do everything with every channel: for trying things out, never for a site."),
        SettingKey(
            "channel_limit", \.channelLimit, of: Self.defaults, .integer(in: 1...10_000, unit: "channels"),
            "Channels of one connection; one more is error 106."),
        SettingKey(
            "on_gap", \.gap, of: Self.defaults, .oneOf,
            "After a broker was away: nothing, or all connections are closed with 3010. Whoever's position is watched loses nothing and needs neither."
        ),
        SettingKey(
            "expired_close_delay", \.expiryGrace, of: Self.defaults, .wholeSeconds(atMost: 3_600),
            "How long a connection whose time is over may wait for a new token; then it is closed with 3005."),
        SettingKey(
            "expired_sub_close_delay", \.subscriptionGrace, of: Self.defaults, .wholeSeconds(atMost: 3_600),
            "The same for a subscription, which is then ended with 2501."),
        SettingKey(
            "history_meta_ttl", \.historyMetaTime, of: Self.defaults, .wholeSeconds(atLeast: 1, atMost: 31_536_000),
            "How long a stream's epoch and offset outlive its publications, where the namespace does not say."),
        SettingKey(
            "history_max_publication_limit", \.historyLimit, of: Self.defaults,
            .integer(in: 1...10_000, unit: "publications"), "Publications of one answer to `history`."),
        SettingKey(
            "recovery_max_publication_limit", \.recoveryLimit, of: Self.defaults,
            .integer(in: 1...10_000, unit: "publications"),
            "Publications that a browser may have missed; after more it is told that it was not recovered."),
        SettingKey(
            "position_check_interval", \.positionCheckInterval, of: Self.defaults,
            .wholeSeconds(atLeast: 1, atMost: 3_600),
            "How often a followed stream is compared with the layer's, which finds what was lost in silence."),
    ]

    /// `nil` when there is no such setting, or nobody could connect; faults are the reader's.
    package init?(reading reader: SettingsReader) {
        guard let node = reader.node(Self.setting), !node.isNull, node.allow(Self.keys.map(\.name) + Self.structures)
        else { return nil }
        self.init()
        self.tokens = Self.tokens(node, "token")
        self.subscriptionTokens = Self.tokens(node, "subscription_token")
        self.personal = node.child("personal_channel").flatMap { PersonalChannels(reading: $0) }
        for key in Self.keys { key.read(node, into: &self) }
        if let proxy = node.child("proxy"), proxy.allow(ProxyEvent.allCases.map(\.rawValue)) {
            for event in ProxyEvent.allCases {
                self.proxies[event] = proxy.child(event.rawValue).flatMap { ProxyConfiguration(reading: $0) }
            }
        }
        self.namedProxies = ProxyConfiguration.named(node)
        if node.child("token") == nil, !self.allowsAnonymous, !self.isInsecure, self.proxies[.connect] == nil {
            node.note("lets nobody in, wanted \"token\" or \"allow_anonymous_connect_without_token\": true")
        }
        self.origins = node.child("allowed_origins").flatMap { OriginCheck(reading: $0) }
        self.namespaces = ChannelNamespaces(reading: node)
        if let bridge = node.child("bridge"), let links = GroupLinks(reading: bridge) {
            self.groupLinks = links
            for group in links.always where !links.isKept(group, self.namespaces) {
                bridge.child("always")?.note("has \(group), which is heard in no channel with a history")
            }
        }
        let names = ClientPath.allCases.filter { $0 != .emulation }.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
        let transports = node.values("transports", limit: 20, wanted: "one of \(names)") { text throws(RouteError) in
            guard let path = ClientPath(rawValue: text), path != .emulation else {
                throw RouteError("wanted one of \(names)")
            }
            return path
        }
        if node.child("transports") != nil { self.transports = Set(transports) }
        if let personal = self.personal, self.namespaces.number(of: personal.channel(of: "")) == nil {
            node.child("personal_channel")?.fault("names a namespace that is not there")
        }
    }

    private static func tokens(_ node: SettingsNode, _ key: String) -> TokenAuthentication? {
        guard let token = node.child(key) else { return nil }
        for key in ["query", "optional", "groups_claim"] {
            token.refuse(key, "has no effect here: the token comes with a command; remove it")
        }
        return TokenAuthentication(reading: token)
    }
}

extension ClientConfiguration {
    /// The namespaces alone, for who holds no connections; `nil` when there is no such setting.
    package static func namespaces(reading reader: SettingsReader) -> ChannelNamespaces? {
        guard let node = reader.node(Self.setting), !node.isNull else { return nil }
        var configuration = ClientConfiguration()
        configuration.namespaces = ChannelNamespaces(reading: node)
        for key in Self.keys where key.name == "history_meta_ttl" { key.read(node, into: &configuration) }
        return configuration.wholeNamespaces
    }
}

extension ChannelNamespaces {
    fileprivate init(reading node: SettingsNode) {
        // Whether they are whole is the gateway's business.
        let proxies = (node.child("proxies")?.value.array ?? []).compactMap { $0["name"]?.string }
        let plain = node.child("without_namespace").flatMap {
            ChannelOptions(reading: $0, more: [], proxies: proxies)
        }
        var named: [(name: String, ChannelOptions)] = []
        for element in node.elements("namespaces", limit: 1_000) {
            guard let options = ChannelOptions(reading: element, more: ["name"], proxies: proxies),
                let name = element.name(unlike: named.map(\.name))
            else { continue }
            named.append((name, options))
        }
        self.init(withoutNamespace: plain ?? ChannelOptions(), named)
    }
}

extension ProxyConfiguration {
    static let name = SettingPart(
        name: "proxies[].name", wanted: SettingsNode.wantedName, defaultText: "none",
        help: """
            What namespaces call an endpoint of their own (`subscribe_proxy_name` and its like). The other keys are those of \
            `proxy.EVENT`.
            """)

    /// `"proxies": [{"name": "chat", "endpoint": …}]`
    fileprivate static func named(_ node: SettingsNode) -> [String: ProxyConfiguration] {
        var named: [String: ProxyConfiguration] = [:]
        for element in node.elements("proxies", limit: 100) {
            guard let proxy = ProxyConfiguration(reading: element, more: ["name"]),
                let name = element.name(unlike: Array(named.keys))
            else { continue }
            if name == ProxyChoice.ownName {
                element.child("name")?.fault("means what stands under \"proxy\"; choose another")
            }
            named[name] = proxy
        }
        return named
    }
}

extension SettingsNode {
    fileprivate static let wantedName = "two or more of A-Z a-z 0-9 - _ ."

    /// What an element of a list is called, which no other one may be.
    fileprivate func name(unlike others: [String]) -> String? {
        let wanted = Self.wantedName
        let name = self.required("name", wanted: wanted) { text throws(RouteError) in
            guard ChannelNamespaces.isName(text) else { throw RouteError("wanted \(wanted)") }
            return text
        }
        guard let name else { return nil }
        guard !others.contains(name) else {
            self.child("name")?.fault("stands above already; remove one")
            return nil
        }
        return name
    }
}

extension PersonalChannels {
    /// `{"namespace": "users", "single_connection": true}`; `{}` for names without a namespace.
    fileprivate init?(reading node: SettingsNode) {
        guard node.allow(["namespace", "single_connection"]) else { return nil }
        self.init(
            namespace: node.optional("namespace", String.self) ?? "",
            isSingle: node.optional("single_connection", Bool.self) ?? false)
    }
}
