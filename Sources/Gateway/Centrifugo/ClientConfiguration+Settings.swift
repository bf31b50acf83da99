import JSON
package import Settings

extension ClientConfiguration {
    package static let setting = StructuredSetting(
        "gateway.centrifugo", wanted: "an object, { \"token\": …, \"without_namespace\": … }",
        default: JSONValue(.null),
        help: """
            Channels that browsers choose themselves: a WebSocket below gateway.path, at connection/websocket, and other \
            transports, that speak the Centrifugo client protocol, for whose SDKs they are. docs/channels.md tells all \
            keys. Without it there is none.
            """,
        example: """
            { "token": { "keys": [ { "algorithm": "HS256", "secret": "${CARILLON_JWT_SECRET}" } ] },
              "without_namespace": { "allow_subscribe_for_client": true } }
            """)

    private static let keys = [
        "token", "allow_anonymous_connect_without_token", "allowed_origins", "channel_limit", "on_gap",
        "transports", "without_namespace", "namespaces",
    ]

    /// `nil` when there is no such setting, or nobody could connect; faults are the reader's.
    package init?(reading reader: SettingsReader) {
        guard let node = reader.node(Self.setting), !node.isNull, node.allow(Self.keys) else { return nil }
        self.init()
        if let token = node.child("token") {
            for key in ["query", "optional", "groups_claim"] {
                token.refuse(key, "has no effect here: the token comes with the connect command; remove it")
            }
            self.tokens = TokenAuthentication(reading: token)
        }
        self.allowsAnonymous = node.optional("allow_anonymous_connect_without_token", Bool.self) ?? false
        if node.child("token") == nil, !self.allowsAnonymous {
            node.note("lets nobody in, wanted \"token\" or \"allow_anonymous_connect_without_token\": true")
        }
        self.origins = node.child("allowed_origins").flatMap { OriginCheck(reading: $0) }
        self.channelLimit = node.read(
            "channel_limit", .integer(in: 1...10_000, unit: "channels"), default: self.channelLimit)
        self.gap = node.oneOf("on_gap", GapBehaviour.self) ?? self.gap
        self.namespaces = ChannelNamespaces(reading: node)
        let names = ClientPath.allCases.filter { $0 != .emulation }.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
        let transports = node.values("transports", limit: 20, wanted: "one of \(names)") { text throws(RouteError) in
            guard let path = ClientPath(rawValue: text), path != .emulation else {
                throw RouteError("wanted one of \(names)")
            }
            return path
        }
        if node.child("transports") != nil { self.transports = Set(transports) }
    }
}

extension ChannelNamespaces {
    fileprivate init(reading node: SettingsNode) {
        let plain = node.child("without_namespace").flatMap { ChannelOptions(reading: $0, more: []) }
        var named: [(name: String, ChannelOptions)] = []
        for element in node.elements("namespaces", limit: 1_000) {
            guard let options = ChannelOptions(reading: element, more: ["name"]) else { continue }
            let wanted = "two or more of A-Z a-z 0-9 - _ ."
            let name = element.required("name", wanted: wanted) { text throws(RouteError) in
                guard Self.isName(text) else { throw RouteError("wanted \(wanted)") }
                return text
            }
            guard let name else { continue }
            guard !named.contains(where: { $0.name == name }) else {
                element.child("name")?.fault("stands above already; remove one")
                continue
            }
            named.append((name, options))
        }
        self.init(withoutNamespace: plain ?? ChannelOptions(), named)
    }
}

extension ChannelOptions {
    private static let keys = [
        "allow_subscribe_for_client", "allow_subscribe_for_anonymous", "allow_publish_for_client",
        "allow_publish_for_subscriber", "allow_publish_for_anonymous", "allow_user_limited_channels", "data_key",
    ]

    /// - Parameter more: keys that are somebody else's.
    fileprivate init?(reading node: SettingsNode, more: [String]) {
        guard node.allow(Self.keys + more) else { return nil }
        func isAllowed(_ key: String) -> Bool { node.optional(key, Bool.self) ?? false }
        self.init()
        self.allowSubscribeForClient = isAllowed("allow_subscribe_for_client")
        self.allowSubscribeForAnonymous = isAllowed("allow_subscribe_for_anonymous")
        self.allowPublishForClient = isAllowed("allow_publish_for_client")
        self.allowPublishForSubscriber = isAllowed("allow_publish_for_subscriber")
        self.allowPublishForAnonymous = isAllowed("allow_publish_for_anonymous")
        self.allowUserLimitedChannels = isAllowed("allow_user_limited_channels")
        self.dataKey = node.optional("data_key", String.self)
    }
}
