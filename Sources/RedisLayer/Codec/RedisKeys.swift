import ChannelLayer

/// The names of what the core layer keeps in Redis.
struct RedisKeys: Sendable {
    /// `prefix` of the configuration; nothing separates it from a channel's name.
    let prefix: String

    /// The sorted set of a mailbox's messages: of all channels of one process, or of one normal channel.
    ///
    /// - Parameter mailbox: `ChannelName.mailbox`.
    func messages(in mailbox: some StringProtocol) -> String { self.prefix + mailbox }

    /// The sorted set of a group's members.
    func members(of group: GroupName) -> String { "\(self.prefix):group:\(group.text)" }
}
