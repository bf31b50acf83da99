import ChannelLayer

/// A group that feeds of this process follow, through one member channel.
///
/// `@unchecked Sendable`: touched on the layer's event loop only.
final class RedisFollowing: @unchecked Sendable {
    let group: GroupName
    /// The member. A message does not say its group, so each following has a channel of its own.
    let channel: ChannelName
    var feeds: [RedisFeed] = []
    /// Who waits to hear that the group is followed; `nil` since it is.
    var waiting: [(feed: RedisFeed, ready: @Sendable (LayerError?) -> Void)]? = []

    init(_ group: GroupName, _ channel: ChannelName) {
        self.group = group
        self.channel = channel
    }
}

/// All groups that are followed.
struct RedisFollowings {
    /// `carillon-gw.<process>!`: where all members' messages arrive.
    let mailbox: String
    private var byGroup: [GroupName: RedisFollowing] = [:]
    private var byChannel: [String: RedisFollowing] = [:]
    private var lastID: UInt64 = 0

    init(mailbox: String) { self.mailbox = mailbox }

    var isEmpty: Bool { self.byGroup.isEmpty }
    var all: some Collection<RedisFollowing> { self.byGroup.values }

    subscript(group: GroupName) -> RedisFollowing? { self.byGroup[group] }

    /// Which group a message is of, by the member it was sent to.
    func following(of channel: String) -> RedisFollowing? { self.byChannel[channel] }

    /// A following with a member that was never used before, so that what is still on the way to an earlier one is not
    /// taken for this one's.
    mutating func begin(_ group: GroupName) -> RedisFollowing {
        self.lastID += 1
        let channel = ChannelName(unchecked: "\(self.mailbox)g.\(String(self.lastID, radix: 36))")
        let following = RedisFollowing(group, channel)
        self.byGroup[group] = following
        self.byChannel[channel.text] = following
        return following
    }

    mutating func end(_ following: RedisFollowing) {
        if self.byGroup[following.group] === following { self.byGroup[following.group] = nil }
        self.byChannel[following.channel.text] = nil
    }
}
