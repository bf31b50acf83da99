import ChannelLayer
package import Settings

extension RabbitMQConfiguration {
    private static let keys = [
        "host", "expiry", "local_expiry", "group_expiry", "local_capacity", "remote_capacity", "overflow", "capacity",
        "channel_capacity", "groups_exchange", "publish_exchange", "dead_letter_queue", "delivery_limit",
        "send_queue_limit", "timeout", "connect_timeout", "heartbeat", "ssl", "history_log", "history_log_bytes",
        "presence_expiry",
    ]

    /// Reads `config` of a layer with the backend `rabbitmq`, named as for `channels_rabbitmq`. Faults are left with the
    /// node, and the default takes the place of what cannot be used.
    ///
    /// - Parameter config: `nil` when there is none: everything has a default.
    package init(reading config: SettingsNode?) {
        self.init()
        guard let config, config.allow(Self.keys) else { return }
        self.setting = "\(config.path).host"
        self.addresses = Self.addresses(config) ?? self.addresses
        self.readTimes(config)
        self.readCapacities(config)
        self.limits.presenceExpiry = config.read(
            "presence_expiry", .duration(in: .seconds(1)...(.seconds(31_536_000))), default: self.limits.presenceExpiry)
        self.groupsExchange = config.read("groups_exchange", Self.name, default: self.groupsExchange)
        self.publishExchange = Self.optional(config, "publish_exchange", Self.name, default: self.publishExchange)
        if self.publishExchange == self.groupsExchange {
            config.child("publish_exchange")?.fault("wanted another exchange than groups_exchange")
        }
        self.deadLetterQueue = Self.optional(config, "dead_letter_queue", Self.name, default: self.deadLetterQueue)
        self.historyLog = config.read("history_log", Self.name, default: self.historyLog)
        if let ssl = config.child("ssl") { self.tls = RabbitMQTLS(reading: ssl) }
    }

    /// One URL, several in a list, or several separated by `;`.
    private static func addresses(_ config: SettingsNode) -> [RabbitMQAddress]? {
        guard let host = config.child("host") else { return nil }
        let url = SettingKind<String>.string("an AMQP URL").converted {
            try RabbitMQAddress.list($0)
        } back: { _ in
            ""
        }
        guard host.isList else { return host.read(url) }
        let nodes = host.elements(limit: 64)
        if nodes.isEmpty { host.fault("wanted at least one AMQP URL") }
        let addresses = nodes.compactMap { $0.read(url) }.flatMap(\.self)
        return addresses.isEmpty ? nil : addresses
    }

    private mutating func readTimes(_ config: SettingsNode) {
        let life = SettingKind<Duration>.duration(in: .milliseconds(100)...(.seconds(31_536_000)))
        self.expiry = Self.optional(config, "expiry", life, default: self.expiry)
        // Their manual's word for it: as long as in the broker, unless something else is said.
        self.limits.expiry = config.optional("local_expiry", life) ?? self.expiry ?? .seconds(31_536_000)
        self.limits.groupExpiry = config.read("group_expiry", life, default: self.limits.groupExpiry)
        let wait = SettingKind<Duration>.duration(in: .milliseconds(100)...(.seconds(600)))
        self.timeout = config.read("timeout", wait, default: self.timeout)
        self.connectTimeout = config.read("connect_timeout", wait, default: self.connectTimeout)
        let heartbeat = SettingKind<Duration>.duration(in: .seconds(1)...(.seconds(600)))
        self.heartbeat = config.read("heartbeat", heartbeat, default: self.heartbeat)
    }

    private mutating func readCapacities(_ config: SettingsNode) {
        let capacity = SettingKind<Int>.integer(in: 1...10_000_000, unit: "messages")
        let prefetch = SettingKind<Int>.integer(in: 1...65_535, unit: "messages")
        self.localCapacity = config.read("local_capacity", prefetch, default: self.localCapacity)
        self.remoteCapacity = Self.optional(config, "remote_capacity", capacity, default: self.remoteCapacity)
        let bytes = SettingKind<Int>.integer(in: 1 << 20...1 << 40, unit: "bytes")
        self.historyLogBytes = config.read("history_log_bytes", bytes, default: self.historyLogBytes)
        self.overflow = config.oneOf("overflow", Overflow.self) ?? self.overflow
        self.sendQueueLimit = config.read("send_queue_limit", capacity, default: self.sendQueueLimit)
        self.deliveryLimit = config.read("delivery_limit", .integer(in: 1...1_000), default: self.deliveryLimit)
        self.limits.capacity = config.read("capacity", capacity, default: self.limits.capacity)
        for (pattern, node) in config.child("channel_capacity")?.members(limit: 1_000) ?? [] {
            guard let capacity = node.read(capacity) else { continue }
            self.limits.channelCapacity.append((CapacityPattern(pattern), capacity))
        }
    }

    /// A value where `null` says that there is none, which is something else than saying nothing.
    private static func optional<Value>(
        _ config: SettingsNode, _ key: String, _ kind: SettingKind<Value>, default fallback: Value?
    ) -> Value? {
        if config.value[key]?.isNull == true { return nil }
        return config.optional(key, kind) ?? fallback
    }

    /// What exchanges and queues may be called.
    private static var name: SettingKind<String> {
        let wanted = "a name of 1 to 127 bytes that does not begin with amq."
        return SettingKind<String>.string(wanted).converted { name in
            guard (1...127).contains(name.utf8.count), !name.utf8.contains(0), !name.hasPrefix("amq.") else {
                throw SettingMismatch(wanted: wanted)
            }
            return name
        } back: {
            $0
        }
    }
}

extension RabbitMQTLS {
    init(reading ssl: SettingsNode) {
        self.init()
        guard ssl.allow(["ca", "certificate", "key", "verify", "verify_name"]) else { return }
        let file = SettingKind<String>.string("the path of a PEM file")
        self.authorityFile = ssl.optional("ca", file)
        self.certificateFile = ssl.optional("certificate", file)
        self.keyFile = ssl.optional("key", file)
        if self.keyFile != nil, self.certificateFile == nil { ssl.missing("certificate", wanted: file.wanted) }
        self.verifiesPeer = ssl.optional("verify", Bool.self) ?? self.verifiesPeer
        self.verifiesName = ssl.optional("verify_name", Bool.self) ?? self.verifiesName
    }
}
