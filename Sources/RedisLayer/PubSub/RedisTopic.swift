import ChannelLayer

/// A channel of Redis' own kind: what processes subscribe to, and publish to.
struct RedisTopic: Sendable, Hashable {
    /// Whose messages go over it.
    enum Target: Sendable, Hashable {
        case group(GroupName)
        case channel(ChannelName)
    }

    /// As Redis knows it.
    let name: String
    let target: Target

    /// - Parameter prefix: of the configuration.
    init(_ group: GroupName, prefix: String) {
        self.name = Self.groupPrefix(prefix) + group.text
        self.target = .group(group)
    }

    /// Channels have no prefix added: names that Python makes begin with it.
    init(_ channel: ChannelName) {
        self.name = channel.text
        self.target = .channel(channel)
    }

    /// What the names of all groups' topics begin with.
    static func groupPrefix(_ prefix: String) -> String { "\(prefix)__group__" }

    /// The group or channel, for people.
    var shownName: String {
        switch self.target {
        case .group(let group): group.text
        case .channel(let channel): channel.text
        }
    }
}
