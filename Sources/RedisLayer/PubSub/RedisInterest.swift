import ChannelLayer

/// What this process wants to hear: who follows which group, which channels are its own. A value without I/O.
///
/// It says when the first one wants a topic and when the last one is gone, whoever they are.
struct RedisInterest {
    typealias FeedID = ObjectIdentifier

    private struct Group {
        var feeds: Set<FeedID> = []
        var members: Set<ChannelName> = []
        var isUnused: Bool { self.feeds.isEmpty && self.members.isEmpty }
    }

    private var groups: [GroupName: Group] = [:]
    /// Channels that are read here: made here, or waited for once.
    private(set) var channels: Set<ChannelName> = []
    private var follows: [FeedID: Set<GroupName>] = [:]

    /// - Returns: whether it is new.
    mutating func add(_ channel: ChannelName) -> Bool { self.channels.insert(channel).inserted }

    mutating func remove(_ channel: ChannelName) { self.channels.remove(channel) }

    /// - Returns: whether the feed did not follow it before.
    mutating func follow(_ group: GroupName, by feed: FeedID) -> Bool {
        self.groups[group, default: Group()].feeds.insert(feed)
        return self.follows[feed, default: []].insert(group).inserted
    }

    /// - Returns: whether nobody wants the group any more.
    mutating func unfollow(_ group: GroupName, by feed: FeedID) -> Bool {
        guard self.follows[feed]?.remove(group) != nil else { return false }
        self.groups[group]?.feeds.remove(feed)
        return self.removeIfUnused(group)
    }

    /// - Returns: the groups that nobody wants any more.
    mutating func close(_ feed: FeedID) -> [GroupName] {
        let groups = self.follows.removeValue(forKey: feed) ?? []
        for group in groups { self.groups[group]?.feeds.remove(feed) }
        return groups.filter { self.removeIfUnused($0) }
    }

    /// - Returns: whether the channel was no member before.
    mutating func join(_ group: GroupName, _ member: ChannelName) -> Bool {
        self.groups[group, default: Group()].members.insert(member).inserted
    }

    /// - Returns: whether nobody wants the group any more.
    mutating func leave(_ group: GroupName, _ member: ChannelName) -> Bool {
        guard self.groups[group]?.members.remove(member) != nil else { return false }
        return self.removeIfUnused(group)
    }

    /// Ends all memberships of channels.
    ///
    /// - Returns: the groups that nobody wants any more.
    mutating func removeMembers() -> [GroupName] {
        for group in self.groups.keys { self.groups[group]?.members = [] }
        return Array(self.groups.keys).filter { self.removeIfUnused($0) }
    }

    private mutating func removeIfUnused(_ group: GroupName) -> Bool {
        guard self.groups[group]?.isUnused == true else { return false }
        self.groups[group] = nil
        return true
    }
}
