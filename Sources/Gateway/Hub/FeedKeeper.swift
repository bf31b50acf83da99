import ChannelLayer
import NIOCore

/// Keeps the layer's feed in step with what the shards want: a group is followed once, while at least one shard has
/// followers of it. All of it happens on one event loop, so that follow and unfollow of a group never overtake each other.
///
/// `@unchecked Sendable`: `groups` is touched on `home` only.
final class FeedKeeper: @unchecked Sendable {
    private enum Following {
        case joining(waiting: [@Sendable (LayerError?) -> Void])
        case ready
    }
    private struct Group {
        /// By name and not by number: a shard that was refused may still say that it unfollows.
        var shards: Set<ObjectIdentifier>
        var state: Following
    }

    private let home: any EventLoop
    private let feed: any GroupFeed
    /// Told when this process follows a group, and when it does no more.
    private let observer: (@Sendable (GroupName, Bool) -> Void)?
    private var groups: [GroupName: Group] = [:]

    init(feed: any GroupFeed, home: any EventLoop, observer: (@Sendable (GroupName, Bool) -> Void)? = nil) {
        self.feed = feed
        self.observer = observer
        self.home = home
    }

    /// A shard has its first follower of `group`.
    ///
    /// - Parameter ready: called once, on the home loop. With an error, the shard does not follow.
    func follow(_ group: GroupName, for shard: HubShard, ready: @escaping @Sendable (LayerError?) -> Void) {
        let shard = ObjectIdentifier(shard)
        self.home.execute {
            guard var known = self.groups[group] else {
                self.groups[group] = Group(shards: [shard], state: .joining(waiting: [ready]))
                self.feed.follow(group) { error in self.home.execute { self.followed(group, error) } }
                return
            }
            known.shards.insert(shard)
            switch known.state {
            case .ready: ready(nil)
            case .joining(let waiting): known.state = .joining(waiting: waiting + [ready])
            }
            self.groups[group] = known
        }
    }

    /// A shard has lost its last follower of `group`.
    func unfollow(_ group: GroupName, for shard: HubShard) {
        let shard = ObjectIdentifier(shard)
        self.home.execute {
            guard self.groups[group]?.shards.remove(shard) != nil else { return }
            self.endIfUnwanted(group)
        }
    }

    func close() { self.feed.close() }

    private func followed(_ group: GroupName, _ error: LayerError?) {
        guard var known = self.groups[group], case .joining(let waiting) = known.state else { return }
        if error == nil {
            known.state = .ready
            self.groups[group] = known
            self.observer?(group, true)
        } else {
            self.groups[group] = nil
        }
        for ready in waiting { ready(error) }
        self.endIfUnwanted(group)
    }

    private func endIfUnwanted(_ group: GroupName) {
        guard let known = self.groups[group], known.shards.isEmpty, case .ready = known.state else { return }
        self.groups[group] = nil
        self.feed.unfollow(group)
        self.observer?(group, false)
    }
}
