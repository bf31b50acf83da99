/// Longer lives, and their ends.
extension ClientProtocol {
    mutating func refresh(_ id: UInt32, _ token: String) -> [Action] {
        guard !token.isEmpty else { return self.disconnect(.badRequest) }
        guard self.rules.allowsTokens else { return self.disconnect(.invalidToken) }
        self.pending = .refreshing(id: id)
        return [.verify(token: token)]
    }

    mutating func refreshed(
        _ id: UInt32, _ result: Result<ClientCredentials, ClientCredentials.Fault>, now: Int64
    ) -> [Action] {
        switch result {
        case .success(let credentials) where credentials.user == self.user:
            // With other channels it must begin again, and gets them then.
            guard Set(credentials.channels.keys) == Set(self.credentials.channels.keys) else {
                return self.disconnect(.insufficientState)
            }
            if let expires = credentials.expires, Self.sum(expires, self.rules.expiryGrace) <= now {
                return self.disconnect(.connectionExpired)
            }
            self.credentials = credentials
            self.setDeadline()
            let ttl = Self.ttl(credentials.expires, now: now)
            return [.reply(ClientReply(id, .refresh(client: self.client, ttl: ttl)))]
        case .failure(.expired): return self.disconnect(.connectionExpired)
        case .failure(.unavailable): return self.refuse(id, .internal)
        case .success, .failure(.invalid): return self.disconnect(.invalidToken)
        }
    }

    mutating func refreshSubscription(_ id: UInt32, _ channel: String, _ token: String) -> [Action] {
        guard !channel.isEmpty else { return self.disconnect(.badRequest) }
        guard self.subscriptions[channel]?.isOpen == true else { return self.refuse(id, .permissionDenied) }
        guard !token.isEmpty else { return self.refuse(id, .badRequest) }
        guard self.rules.allowsSubscriptionTokens else { return self.disconnect(.invalidToken) }
        self.pending = .refreshingSubscription(id: id, channel: channel)
        return [.verifySubscription(token: token)]
    }

    mutating func subscriptionRefreshed(
        _ id: UInt32, _ channel: String, _ result: Result<SubscriptionClaims, ClientCredentials.Fault>, now: Int64
    ) -> [Action] {
        switch result {
        case .success(let claims) where self.isFor(claims, channel):
            // The server may have taken it away in between.
            guard self.subscriptions[channel] != nil else { return self.refuse(id, .permissionDenied) }
            if let expires = claims.grant.expires, expires <= now { return self.refuse(id, .expired) }
            self.subscriptions[channel]?.expires = claims.grant.expires
            self.subscriptions[channel]?.info = claims.grant.info
            self.setDeadline()
            return [.reply(ClientReply(id, .refreshSubscription(ttl: Self.ttl(claims.grant.expires, now: now))))]
        case .failure(.expired): return self.refuse(id, .expired)
        case .failure(.unavailable): return self.refuse(id, .internal)
        case .success, .failure(.invalid): return self.disconnect(.invalidToken)
        }
    }

    /// Time has passed; `deadline` says when it matters.
    ///
    /// - Parameter now: seconds since 1970.
    mutating func timePassed(now: Int64) -> [Action] {
        guard case .connected = self.state else { return [] }
        var actions = self.askToStay(now: now)
        if let expires = self.credentials.expires, !self.isAskingToStay,
            Self.sum(expires, self.rules.expiryGrace) <= now
        {
            return self.disconnect(.connectionExpired)
        }
        for (channel, subscription) in self.subscriptions.sorted(by: { $0.key < $1.key }) {
            guard subscription.isOpen, !self.isAskingToKeep(channel), let expires = subscription.expires,
                Self.sum(expires, self.rules.subscriptionGrace) <= now
            else { continue }
            guard !subscription.isServerSide else { return self.disconnect(.subscriptionExpired) }
            actions += self.takeAway(channel, .expired)
        }
        return actions
    }
}
