import ChannelLayer
package import Settings

extension RedisLayerConfiguration {
    /// What stands under `config`; the defaults where nothing does.
    package init(reading config: SettingsNode?) {
        self.init()
        let keys =
            LayerConfiguration.settingKeys + [
                "hosts", "prefix", "symmetric_encryption_keys", "random_prefix_length", "serializer_format",
            ]
        guard let config, config.allow(keys) else { return }
        self.limits = LayerConfiguration(reading: config)
        self.hosts = config.redisHosts(default: self.hosts)
        self.prefix = config.optional("prefix", String.self) ?? self.prefix
        self.encryptionKeys = config.redisEncryptionKeys()
        let length = SettingKind<Int>.integer(in: 0...1_024, unit: "bytes")
        self.randomPrefixLength = config.read("random_prefix_length", length, default: self.randomPrefixLength)
        self.serializer = config.oneOf("serializer_format") ?? self.serializer
    }
}

extension SettingsNode {
    /// `hosts`, as the Python layers take them: always a list.
    func redisHosts(default fallback: [RedisEndpoint]) -> [RedisEndpoint] {
        guard let node = self.child("hosts") else { return fallback }
        let hosts = node.elements(limit: 4_096)
        if node.isList, hosts.isEmpty { node.fault("wanted at least one host, for example \"redis://localhost:6379\"") }
        let endpoints = hosts.compactMap { RedisEndpoint.read($0) }
        return endpoints.isEmpty ? fallback : endpoints
    }

    /// The secrets, the first of which encrypts; none when there is no such key.
    func redisEncryptionKeys() -> [String] {
        let secret = SettingKind<String>.string("a secret").list(atMost: 100)
        guard let node = self.child("symmetric_encryption_keys", isSecret: true) else { return [] }
        let secrets = node.read(secret) ?? []
        // An empty one would let everybody in.
        if secrets.contains("") { node.fault("holds an empty secret; remove it, or say one") }
        return secrets.filter { !$0.isEmpty }
    }
}
