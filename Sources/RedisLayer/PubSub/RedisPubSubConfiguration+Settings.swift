package import Settings

extension RedisPubSubConfiguration {
    /// What Python's layer accepts and does not use; read over, so that a configuration can be shared.
    private static let unusedKeys = [
        "on_disconnect", "on_reconnect", "capacity", "channel_capacity", "expiry", "group_expiry",
    ]

    /// What stands under `config`; the defaults where nothing does.
    package init(reading config: SettingsNode?) {
        self.init()
        let keys = [
            "hosts", "cluster", "prefix", "symmetric_encryption_keys", "serializer_format", "local_capacity",
            "presence_expiry",
        ]
        guard let config, config.allow(keys + Self.unusedKeys) else { return }
        self.hosts = config.redisHosts(default: self.hosts)
        self.isCluster = config.read("cluster", .bool, default: self.isCluster)
        self.prefix = config.optional("prefix", String.self) ?? self.prefix
        self.encryptionKeys = config.redisEncryptionKeys()
        self.serializer = config.oneOf("serializer_format") ?? self.serializer
        let life = SettingKind<Duration>.duration(in: .seconds(1)...(.seconds(31_536_000)))
        self.presenceExpiry = config.read("presence_expiry", life, default: self.presenceExpiry)
        let capacity = SettingKind<Int>.integer(in: 1...1_000_000, unit: "messages")
        self.localCapacity = config.read("local_capacity", capacity, default: self.localCapacity)
    }
}
