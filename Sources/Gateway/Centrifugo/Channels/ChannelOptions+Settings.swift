package import Settings

extension ChannelOptions {
    private typealias Key = SettingKey<ChannelOptions>
    private static let defaults = ChannelOptions()

    private static func flag(
        _ name: String, _ place: any (WritableKeyPath<ChannelOptions, Bool> & Sendable), _ help: String
    ) -> SettingKey<ChannelOptions> {
        Key(name, place, of: self.defaults, .bool, help)
    }

    private static func time(
        _ name: String, _ place: any (WritableKeyPath<ChannelOptions, Int> & Sendable), _ help: String
    ) -> SettingKey<ChannelOptions> {
        Key(name, place, of: self.defaults, .wholeSeconds(atMost: 31_536_000), help)
    }

    private static func proxy(
        _ name: String, _ place: any (WritableKeyPath<ChannelOptions, ProxyChoice> & Sendable), _ event: ProxyEvent
    ) -> SettingKey<ChannelOptions> {
        Key(
            name, place, of: self.defaults,
            SettingKind<String>.string("a name").converted {
                ProxyChoice($0)
            } back: {
                $0.name
            },
            "Where: the `name` of one of `proxies`, or `default` for `proxy.\(event.rawValue)`.")
    }

    /// All keys of a namespace but its name, in the order of the page.
    static let keys: [SettingKey<ChannelOptions>] =
        Self.subscribing + Self.publishingKeys + Self.asking + Self.keeping + Self.recovering + Self.travelling

    private static let subscribing = [
        Self.flag("allow_subscribe_for_client", \.allowSubscribeForClient, "Who has a user may subscribe."),
        Self.flag(
            "allow_subscribe_for_anonymous", \.allowSubscribeForAnonymous, "With the one before: who has none too."),
        Self.flag(
            "allow_user_limited_channels", \.allowUserLimitedChannels,
            "`dialog#12,57` is for the users 12 and 57 alone, who need no other permission."),
        Self.flag(
            "subscribe_proxy_enabled", \.asksToSubscribe,
            "The application is asked who may subscribe without a token (docs/event-proxy.md)."),
        Self.proxy("subscribe_proxy_name", \.subscribeProxy, .subscribe),
        Self.flag(
            "sub_refresh_proxy_enabled", \.asksToRefresh,
            "It is asked whether a subscription may stay whose time is up."),
        Self.proxy("sub_refresh_proxy_name", \.refreshProxy, .subscriptionRefresh),
        Key(
            "channel_regex", \.namePattern, of: Self.defaults,
            SettingKind<String>.string("a POSIX extended regular expression").converted(
                TextPattern.init, back: \.text
            ).orNone,
            "What the name behind the namespace must match, else error 107; `^` and `$` are for the whole of it."),
    ]

    private static let publishingKeys = [
        Self.flag("allow_publish_for_client", \.publishing.forClient, "Who has a user may publish."),
        Self.flag("allow_publish_for_subscriber", \.publishing.forSubscriber, "Who is subscribed may publish."),
        Self.flag(
            "allow_publish_for_anonymous", \.publishing.forAnonymous,
            "With `allow_publish_for_client`: who has no user too."),
        Self.flag(
            "publish_proxy_enabled", \.asksToPublish, "The application is asked what becomes of what browsers publish."),
        Self.proxy("publish_proxy_name", \.publishProxy, .publish),
        Key(
            "publication_data_format", \.publicationFormat, of: Self.defaults, .oneOf,
            "What data must be, else error 107: anything but nothing, `json`, `json_object`, or `binary`, which may be empty."
        ),
    ]

    private static let asking = [
        Self.flag("allow_presence_for_client", \.presenceAccess.forClient, "Who has a user may ask who is here."),
        Self.flag("allow_presence_for_subscriber", \.presenceAccess.forSubscriber, "Who is subscribed may."),
        Self.flag(
            "allow_presence_for_anonymous", \.presenceAccess.forAnonymous,
            "With `allow_presence_for_client`: who has no user too."),
        Self.flag("allow_history_for_client", \.historyAccess.forClient, "Who has a user may read the history."),
        Self.flag("allow_history_for_subscriber", \.historyAccess.forSubscriber, "Who is subscribed may."),
        Self.flag(
            "allow_history_for_anonymous", \.historyAccess.forAnonymous,
            "With `allow_history_for_client`: who has no user too."),
    ]

    private static let keeping = [
        Self.flag("presence", \.presence, "The gateway keeps who is subscribed."),
        Self.flag("join_leave", \.joinLeave, "Subscribers that ask for it are told who comes and goes."),
        Self.flag("force_push_join_leave", \.forcePushJoinLeave, "They are told without asking."),
        Key(
            "history_size", \.historySize, of: Self.defaults, .integer(in: 0...100_000, unit: "publications"),
            "Publications that are kept; with `history_ttl` it turns history on."),
        Self.time("history_ttl", \.historyTime, "How long they are kept, from the newest on."),
        Self.time(
            "history_meta_ttl", \.historyMetaTime,
            "How long epoch and offset outlive them; `0s` for `history_meta_ttl` of the gateway."),
    ]

    private static let recovering = [
        Self.flag("force_positioning", \.forcePositioning, "The gateway watches that nobody misses a publication."),
        Self.flag("allow_positioning", \.allowPositioning, "It does for who asks for it."),
        Self.flag("force_recovery", \.forceRecovery, "Who comes back gets what was missed."),
        Self.flag("allow_recovery", \.allowRecovery, "Who asked for it does."),
        Key(
            "force_recovery_mode", \.recoveryMode, of: Self.defaults, .oneOf,
            "What that is: all of it (`stream`), or the newest publication alone (`cache`)."),
        Self.flag(
            "auto_cache_recover", \.autoCacheRecover, "With `cache`: whoever subscribes gets the newest publication."),
    ]

    private static let travelling = [
        Key(
            "allowed_delta_types", \.allowedDeltaTypes, of: Self.defaults,
            SettingKind<ChannelOptions.DeltaType>.oneOf.list(atMost: 4),
            "Deltas that browsers may ask for instead of whole data."),
        Self.flag(
            "delta_publish", \.deltaPublish, "Deltas are made for every publication, not only where they are asked for."
        ),
        Self.flag("allow_tags_filter", \.allowTagsFilter, "Browsers may choose publications by their tags."),
        Self.flag(
            "allow_channel_compaction", \.allowChannelCompaction,
            "A number stands for the channel's name in pushes, for browsers that can do with it."),
        Key(
            "slow_readers", \.slowReaders, of: Self.defaults, .oneOf,
            "What becomes of a browser that reads too slowly: closed with 3008; of what waits the newest alone is sent, one of each `conflate_key`; or the oldest of it is dropped."
        ),
        Key(
            "conflate_key", \.conflateKey, of: Self.defaults, SettingKind<String>.string.orNone,
            "The key in a publication's data by whose value a newer one replaces an older one that waits."),
        Key(
            "data_key", \.dataKey, of: Self.defaults, SettingKind<String>.string.orNone,
            "Of a group's message, the key whose value is the publication's data; without it the whole message is."),
    ]

    /// Kinds of channels that others have and Carillon has not.
    private static let strangers = [
        "subscription_type", "map", "map_clients_presence_channel_prefix", "map_users_presence_channel_prefix",
        "shared_poll", "subscribe_stream_proxy_enabled", "subscribe_stream_proxy_name",
        "subscribe_stream_proxy_bidirectional",
    ]

    /// - Parameters:
    ///   - more: keys that are somebody else's.
    ///   - proxies: the names that may be named.
    init?(reading node: SettingsNode, more: [String], proxies: [String]) {
        guard node.allow(Self.keys.map(\.name) + Self.strangers + more) else { return nil }
        self.init()
        for name in Self.strangers where !(name == "subscription_type" && node.child(name)?.value.string == "stream") {
            node.refuse(name, "is not supported: channels are streams here, and no maps or polls; remove it")
        }
        for key in Self.keys { key.read(node, into: &self) }
        self.checkTogether(node)
        self.checkProxies(node, proxies)
    }

    /// Who says where the application is asked must say that it is, and name what there is.
    private func checkProxies(_ node: SettingsNode, _ known: [String]) {
        for (event, choice, isAsked) in [
            (ProxyEvent.subscribe, self.subscribeProxy, self.asksToSubscribe),
            (.publish, self.publishProxy, self.asksToPublish),
            (.subscriptionRefresh, self.refreshProxy, self.asksToRefresh),
        ] {
            guard case .named(let name) = choice, let child = node.child("\(event.rawValue)_proxy_name") else {
                continue
            }
            if !known.contains(name) {
                let nearest = NearestName.of(name, among: known + [ProxyChoice.ownName])
                child.fault(
                    "stands in no \"name\" of \"proxies\"" + (nearest.map { "; did you mean \"\($0)\"?" } ?? ""))
            } else if !isAsked {
                child.fault("has no effect without \"\(event.rawValue)_proxy_enabled\": true")
            }
        }
    }

    /// What each key alone could not see.
    private func checkTogether(_ node: SettingsNode) {
        if self.historySize > 0, self.historyTime == 0 { node.missing("history_ttl", wanted: "a time, such as \"5m\"") }
        if self.historyTime > 0, self.historySize == 0 { node.missing("history_size", wanted: "a number, such as 100") }
        let needsHistory = [
            ("force_positioning", self.forcePositioning), ("allow_positioning", self.allowPositioning),
            ("force_recovery", self.forceRecovery), ("allow_recovery", self.allowRecovery),
        ]
        for (name, isSet) in needsHistory where isSet && !self.keepsHistory {
            node.child(name)?.fault("has no effect without \"history_size\" and \"history_ttl\"")
        }
        if self.forcePushJoinLeave, !self.joinLeave {
            node.child("force_push_join_leave")?.fault("has no effect without \"join_leave\": true")
        }
        if self.autoCacheRecover, self.recoveryMode != .cache {
            node.child("auto_cache_recover")?.fault("has no effect without \"force_recovery_mode\": \"cache\"")
        }
        if self.conflateKey != nil, self.slowReaders != .conflate {
            node.child("conflate_key")?.fault("has no effect without \"slow_readers\": \"conflate\"")
        }
    }
}

extension SettingKind where Value == Int {
    /// A time, as whole seconds; rounded up, since none of these means "never" when it is short.
    package static func wholeSeconds(atLeast least: Int64 = 0, atMost most: Int64) -> SettingKind<Int> {
        SettingKind<Duration>.duration(in: .seconds(least)...(.seconds(most))).converted { duration in
            let (seconds, attoseconds) = duration.components
            return Int(clamping: seconds) + (attoseconds > 0 ? 1 : 0)
        } back: {
            .seconds($0)
        }
    }
}
