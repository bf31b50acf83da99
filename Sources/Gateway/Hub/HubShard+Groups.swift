import ChannelLayer
import NIOCore

/// Which groups the process hears for the sessions of this loop: asked for once, whatever number of them wants one, and given
/// back when nobody does any more.
extension HubShard {
    /// Follows groups for as long as the gateway lives, and tries again while the layer cannot.
    ///
    /// - Parameter then: called when they are followed.
    func hear(_ groups: [GroupName], then: @escaping @Sendable () -> Void) {
        self.eventLoop.execute {
            self.acquire(groups) { error in
                guard error != nil else { return then() }
                self.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { [weak self] in
                    self?.hear(groups, then: then)
                }
            }
        }
    }

    /// As `acquire`, for a group that is followed as a channel, with all that is heard in it.
    func acquire(channel group: GroupName, completion: @escaping (LayerError?) -> Void) {
        let others = self.bridge?.begin(group) ?? []
        self.acquire([group] + others) { [bridge] error in
            if error != nil { _ = bridge?.end(group) }
            completion(error)
        }
    }

    /// Ends what `acquire(channel:)` began.
    func release(channel group: GroupName) { self.release([group] + (self.bridge?.end(group) ?? [])) }

    /// Makes sure that the process hears `groups`. Each success is ended by `release`.
    ///
    /// - Parameter completion: called once on this loop, perhaps at once; with an error nothing is held.
    func acquire(_ groups: [GroupName], completion: @escaping (LayerError?) -> Void) {
        let missing = groups.filter { self.groups[$0]?.isReady != true }
        for group in groups { self.groups[group]?.wanted &+= 1 }
        guard !missing.isEmpty else {
            completion(nil)
            return
        }
        let waiting = Countdown(missing.count) { [weak self] error in
            if error != nil { self?.release(groups) }
            completion(error)
        }
        for group in missing {
            if let known = self.groups[group] {
                known.waiting.append(waiting)
                continue
            }
            let entry = ShardGroup()
            entry.wanted = groups.count { $0 == group }
            entry.waiting = [waiting]
            self.groups[group] = entry
            self.follow(group, entry)
        }
    }

    /// Ends what `acquire` began.
    func release(_ groups: [GroupName]) {
        for group in groups {
            guard let entry = self.groups[group] else { continue }
            entry.wanted &-= 1
            guard entry.wanted <= 0 else { continue }
            self.groups[group] = nil
            if entry.isFollowed { self.keeper?.unfollow(group, for: self) }
        }
    }

    private func follow(_ group: GroupName, _ entry: ShardGroup) {
        guard let keeper = self.keeper else { return }
        entry.isFollowed = true
        let entry = NIOLoopBound(entry, eventLoop: self.eventLoop)
        keeper.follow(group, for: self) { error in
            self.eventLoop.execute { self.followed(entry.value, error) }
        }
    }

    private func followed(_ entry: ShardGroup, _ error: LayerError?) {
        entry.isReady = error == nil
        if error != nil { entry.isFollowed = false }
        let waiting = entry.waiting
        entry.waiting = []
        for countdown in waiting { countdown.done(error) }
    }
}

/// A group as one shard knows it.
final class ShardGroup {
    /// Sessions that follow it or wait to.
    var wanted = 0
    var isReady = false
    /// The keeper was asked for it and has not refused.
    var isFollowed = false
    var waiting: [Countdown] = []
    var lists: [FollowerList] = []
}

/// Calls back when the last of several things is done, with the first error among them.
final class Countdown {
    private var left: Int
    private var error: LayerError?
    private let completion: (LayerError?) -> Void

    init(_ count: Int, completion: @escaping (LayerError?) -> Void) {
        self.left = count
        self.completion = completion
    }

    func done(_ error: LayerError?) {
        self.error = self.error ?? error
        self.left &-= 1
        if self.left == 0 { self.completion(self.error) }
    }
}
