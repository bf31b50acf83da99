import ChannelLayer
import NIOCore

extension RedisLayerCore {
    // MARK: Channels

    func add(
        _ channel: ChannelName, to group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void
    ) {
        guard !self.isClosed else { return completion(RedisLayer.closed) }
        let membership = RedisMembership(group: group, channel: channel)
        if channel.nonLocalPart.map({ self.isOwn($0) }) ?? false {
            self.memberships[membership] = self.now() + Double(self.configuration.groupExpirySeconds)
        }
        self.shard(of: group).join([membership]) { result in
            if case .failure(let error) = result {
                self.memberships[membership] = nil
                completion(error.layerError)
            } else {
                completion(nil)
            }
        }
    }

    func discard(
        _ channel: ChannelName, from group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void
    ) {
        guard !self.isClosed else { return completion(RedisLayer.closed) }
        let membership = RedisMembership(group: group, channel: channel)
        self.memberships[membership] = nil
        self.shard(of: group).leave(membership) { result in
            if case .failure(let error) = result { completion(error.layerError) } else { completion(nil) }
        }
    }

    // MARK: Feeds

    func open(_ feed: RedisFeed) {
        guard !self.isClosed else {
            feed.end()
            return
        }
        self.feeds.append(feed)
        if let interruption = self.interruption { feed.interrupt(interruption) }
    }

    func closeFeed(_ feed: RedisFeed) {
        guard !feed.isOver else { return }
        feed.end()
        self.feeds.removeAll { $0 === feed }
        for following in Array(self.followings.all) { self.unfollow(following, by: feed) }
    }

    func follow(_ group: GroupName, by feed: RedisFeed, ready: @escaping @Sendable (LayerError?) -> Void) {
        guard !feed.isOver, !self.isClosed else { return ready(RedisLayer.closed) }
        guard let following = self.followings[group] else { return self.begin(group, feed, ready) }
        if !following.feeds.contains(where: { $0 === feed }) { following.feeds.append(feed) }
        if following.waiting == nil { ready(nil) } else { following.waiting?.append((feed, ready)) }
    }

    func unfollow(_ group: GroupName, by feed: RedisFeed) {
        if let following = self.followings[group] { self.unfollow(following, by: feed) }
    }

    private func unfollow(_ following: RedisFollowing, by feed: RedisFeed) {
        guard let place = following.feeds.firstIndex(where: { $0 === feed }) else { return }
        following.feeds.remove(at: place)
        for waiter in following.waiting ?? [] where waiter.feed === feed { waiter.ready(RedisLayer.closed) }
        following.waiting?.removeAll { $0.feed === feed }
        guard following.feeds.isEmpty else { return }
        self.followings.end(following)
        self.forgetMember(following)
    }

    /// Makes this process a member of a group nobody here followed yet.
    private func begin(_ group: GroupName, _ feed: RedisFeed, _ ready: @escaping @Sendable (LayerError?) -> Void) {
        let following = self.followings.begin(group)
        // Before the command: while Redis is away it fails at once.
        following.feeds = [feed]
        following.waiting = [(feed, ready)]
        let membership = RedisMembership(group: group, channel: following.channel)
        self.shard(of: group).join([membership]) { result in
            guard following.waiting != nil else { return }
            if case .failure(let error) = result {
                self.followings.end(following)
                self.forgetMember(following)
                self.answer(following, error.layerError)
            } else {
                self.answer(following, nil)
            }
        }
        self.wantMore()
    }

    /// Tells who waits to follow.
    func answer(_ following: RedisFollowing, _ error: LayerError?) {
        let waiting = following.waiting ?? []
        following.waiting = nil
        if error != nil { following.feeds = [] }
        for waiter in waiting { waiter.ready(error) }
    }

    private func forgetMember(_ following: RedisFollowing) {
        let membership = RedisMembership(group: following.group, channel: following.channel)
        self.shard(of: following.group).leave(membership) { result in
            guard case .failure = result, self.orphans.count < 100_000 else { return }
            self.orphans.insert(membership)
        }
    }

    // MARK: Keeping memberships

    /// Members at one command.
    private static let joinBatch = 256

    /// All that should be a member on a host.
    private func wantedMemberships(on shard: RedisShard) -> [RedisMembership] {
        let now = self.now()
        self.memberships = self.memberships.filter { $0.value > now }
        return self.followings.all.map { RedisMembership(group: $0.group, channel: $0.channel) }
            .filter { self.shard(of: $0.group) === shard }
            + self.memberships.keys.filter { self.shard(of: $0.group) === shard }
    }

    /// Before they expire. The memberships of channels end as their owner was told.
    func renewMemberships() {
        for shard in self.shards where shard.isJoined {
            let followed = self.followings.all.map { RedisMembership(group: $0.group, channel: $0.channel) }
                .filter { self.shard(of: $0.group) === shard }
            self.join(followed[...], on: shard) { error in
                guard let error else { return }
                self.logger.warning("Memberships were not renewed", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Makes all memberships on a host anew: after each connection, because Redis may have lost its data.
    func restoreMemberships(on shard: RedisShard, generation: Int) {
        for orphan in self.orphans where self.shard(of: orphan.group) === shard {
            self.orphans.remove(orphan)
            shard.leave(orphan)
        }
        self.join(self.wantedMemberships(on: shard)[...], on: shard) { error in
            guard shard.generation == generation, !self.isClosed else { return }
            guard let error else {
                shard.isJoined = true
                return self.endInterruption()
            }
            self.logger.warning("Memberships were not restored yet", metadata: ["error": "\(error)"])
            self.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(500)) {
                guard shard.generation == generation, !self.isClosed else { return }
                self.restoreMemberships(on: shard, generation: generation)
            }
        }
    }

    private func join(
        _ memberships: ArraySlice<RedisMembership>, on shard: RedisShard,
        completion: @escaping @Sendable (RedisError?) -> Void
    ) {
        guard !memberships.isEmpty else { return completion(nil) }
        let rest = memberships.dropFirst(Self.joinBatch)
        shard.join(memberships.prefix(Self.joinBatch)) { result in
            if case .failure(let error) = result { return completion(error) }
            self.join(rest, on: shard, completion: completion)
        }
    }

    /// Looks whether one of the followed groups still has its member, each in turn: somebody may have deleted it, with
    /// everything else for example.
    func checkMembership(on shard: RedisShard) {
        let followings = self.followings.all.filter { $0.waiting == nil && self.shard(of: $0.group) === shard }
        guard shard.isJoined, !followings.isEmpty else { return }
        shard.watched = (shard.watched + 1) % followings.count
        let following = followings[shard.watched]
        var command = RedisCommand("ZSCORE")
        command.append(self.keys.members(of: following.group))
        command.append(following.channel.text)
        let generation = shard.generation
        shard.commands.send(command) { result in
            let isGone =
                switch result {
                case .success(let reply): reply == .null
                case .failure(let error): error.message.contains("WRONGTYPE")
                }
            guard isGone, shard.isJoined, shard.generation == generation,
                self.followings[following.group] === following
            else { return }
            shard.isJoined = false
            self.interrupt(LayerError(.unavailable, "Redis has forgotten who is in which group: its data was deleted"))
            self.restoreMemberships(on: shard, generation: generation)
        }
    }
}
