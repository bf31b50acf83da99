package import ChannelLayer
package import Settings

extension LayerConfiguration {
    /// The keys that several layers have in common.
    package static let settingKeys = ["capacity", "channel_capacity", "expiry", "group_expiry", "presence_expiry"]

    /// What stands under those keys of a layer's `config`; the defaults where nothing does.
    package init(reading config: SettingsNode) {
        self.init()
        let capacity = SettingKind<Int>.integer(in: 1...1_000_000, unit: "messages")
        let expiry = SettingKind<Duration>.duration(in: .seconds(1)...(.seconds(31_536_000)))
        self.capacity = config.read("capacity", capacity, default: self.capacity)
        self.expiry = config.read("expiry", expiry, default: self.expiry)
        self.groupExpiry = config.read("group_expiry", expiry, default: self.groupExpiry)
        self.presenceExpiry = config.read("presence_expiry", expiry, default: self.presenceExpiry)
        for (pattern, node) in config.child("channel_capacity")?.members(limit: 1_000) ?? [] {
            guard let capacity = node.read(capacity) else { continue }
            self.channelCapacity.append((CapacityPattern(pattern), capacity))
        }
    }
}
