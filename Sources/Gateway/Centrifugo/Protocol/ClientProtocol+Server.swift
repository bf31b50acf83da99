import ChannelLayer

/// What happens to a connection without its having asked: commands of the server API, a lost stream.
extension ClientProtocol {
    // MARK: The server's commands

    /// Begins a subscription that the browser did not ask for; it learns of it by a push.
    ///
    /// - Parameter now: seconds since 1970.
    mutating func subscribe(to channel: String, _ grant: SubscriptionGrant, now: Int64) -> [Action] {
        guard case .connected = self.state, self.subscriptions[channel] == nil,
            case .success(let found) = self.lookUp(channel)
        else { return [] }
        guard self.subscriptions.count < self.rules.channelLimit else { return self.disconnect(.channelLimit) }
        let wishes = SubscriptionWishes(positioning: true, recovery: true, since: grant.since)
        return [self.begin(found, .server, grant, wishes, now: now)]
    }

    /// Ends a subscription, or all of them.
    ///
    /// - Parameter channel: `nil` for all.
    mutating func unsubscribe(from channel: String?) -> [Action] {
        guard case .connected = self.state else { return [] }
        let channels = channel.map { [$0] } ?? self.subscriptions.keys.sorted()
        return channels.flatMap { self.takeAway($0, .server) }
    }

    /// Prolongs the connection, or ends it.
    ///
    /// - Parameters:
    ///   - expires: seconds since 1970; `nil` when it shall not end by itself.
    ///   - info: what others see from now on; `nil` leaves it.
    mutating func prolong(expires: Int64?, info: ClientData?, now: Int64) -> [Action] {
        guard case .connected = self.state else { return [] }
        if let expires, expires <= now { return self.disconnect(.connectionExpired) }
        self.credentials.expires = expires
        if let info { self.credentials.info = info }
        self.setDeadline()
        return [.push(ClientPush(.refresh(ttl: Self.ttl(expires, now: now))))]
    }

    /// A subscription of the server's is open.
    func told(_ channel: String, _ subscribed: ClientSubscribed) -> [Action] {
        // What it missed comes as if it had been there.
        var first = subscribed
        first.publications = []
        return [.push(ClientPush(channel, .subscribe(first)))]
            + subscribed.publications.map { .push(ClientPush(channel, .publication($0))) }
    }

    /// Ends a subscription and tells the browser.
    mutating func takeAway(_ channel: String, _ reason: ClientUnsubscribe) -> [Action] {
        guard let subscription = self.subscriptions[channel] else { return [] }
        let wasOpen = subscription.isOpen
        let actions = self.leave(channel)
        // The connection is told of those it has when it is told of itself.
        if subscription.state == .opening(.connect) { return actions + self.entered(channel, nil) }
        // Its command is still waiting for an answer, which says it.
        if !wasOpen, case .subscribing(let id)? = self.pending, !subscription.isServerSide {
            self.pending = nil
            return actions + self.refuse(id, .permissionDenied)
        }
        return actions + [.push(ClientPush(channel, .unsubscribe(code: reason.rawValue, reason: reason.reason)))]
    }

    // MARK: What is lost

    /// Publications of a channel were missed and cannot be had again. From now on nothing of it is heard: a later one
    /// would hide the gap.
    mutating func lose(_ channel: String) -> [Action] {
        guard let subscription = self.subscriptions[channel], subscription.isPositioned, subscription.isOpen else {
            return []
        }
        let actions = self.leave(channel)
        self.lost.insert(channel)
        self.lostOfServer = self.lostOfServer || subscription.isServerSide
        return actions + [.tellLater(channel: channel)]
    }

    /// Says so, unless the browser has left the channel since.
    mutating func tellLost(_ channel: String) -> [Action] {
        guard self.lost.remove(channel) != nil, case .connected = self.state else { return [] }
        if self.lostOfServer { return self.disconnect(.insufficientState) }
        let reason = ClientUnsubscribe.insufficientState
        return [.push(ClientPush(channel, .unsubscribe(code: reason.rawValue, reason: reason.reason)))]
    }

    /// A younger connection of the same user, which may have one.
    mutating func replaced(by client: String) -> [Action] {
        guard client != self.client, case .connected = self.state else { return [] }
        return self.disconnect(.connectionLimit)
    }
}
