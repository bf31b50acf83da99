import ChannelLayer

/// Who it is, and the channels that it has without asking.
extension ClientProtocol {
    mutating func connect(_ id: UInt32, _ request: ClientCommand.Connect) -> [Action] {
        guard !request.token.isEmpty else {
            if self.rules.asks.contains(.connect) { return self.askToConnect(id, request) }
            guard self.rules.allowsAnonymous else { return self.disconnect(.badRequest) }
            return self.enter(id, request, .anonymous, now: 0)
        }
        guard self.rules.allowsTokens else { return self.disconnect(.invalidToken) }
        self.pending = .connecting(id: id, request)
        return [.verify(token: request.token)]
    }

    /// What a token says.
    ///
    /// - Parameter now: seconds since 1970.
    mutating func verified(
        _ result: Result<ClientCredentials, ClientCredentials.Fault>, now: Int64
    ) -> [Action] {
        switch (self.takePending(), result) {
        case (.connecting(let id, let request)?, .success(let credentials)):
            guard !credentials.user.isEmpty || !self.rules.refusesAnonymousTokens else {
                return self.disconnect(.permissionDenied)
            }
            return self.enter(id, request, credentials, now: now)
        case (.connecting(let id, _)?, .failure(.expired)): return self.turnAway(id, .tokenExpired)
        case (.connecting(let id, _)?, .failure(.unavailable)): return self.turnAway(id, .internal)
        case (.connecting?, .failure(.invalid)): return self.disconnect(.invalidToken)
        case (.refreshing(let id)?, let result): return self.refreshed(id, result, now: now)
        default: return []
        }
    }

    /// Clocks may differ so much.
    private static let leeway: Int64 = 5

    mutating func enter(
        _ id: UInt32, _ request: ClientCommand.Connect, _ credentials: ClientCredentials, now: Int64
    ) -> [Action] {
        if let expires = credentials.expires, Self.sum(expires, Self.leeway) < now {
            return self.turnAway(id, .expired)
        }
        self.credentials = credentials
        var channels: [(found: Found, grant: SubscriptionGrant)] = []
        for (name, grant) in self.grants(credentials) {
            switch self.lookUp(name) {
            case .success(let found): channels.append((found, grant))
            case .failure(let error): return self.turnAway(id, error)
            }
        }
        if self.transport.path.isUnidirectional {
            let granted = Set(channels.map(\.found.channel.text))
            // There may be thousands: nobody looks at more than may be.
            for name in request.subscriptions.keys.sorted() where !granted.contains(name) {
                guard channels.count <= self.rules.channelLimit else { break }
                switch self.lookUp(name) {
                case .failure(.unknownChannel): return self.disconnect(.badRequest)
                case .success(let found) where found.options.allowsAtConnect(name, by: self.asker(of: name)):
                    channels.append((found, SubscriptionGrant()))
                // Who may not have it does not get it, and is not told.
                default: break
                }
            }
        }
        guard channels.count <= self.rules.channelLimit else { return self.disconnect(.channelLimit) }
        return self.enter(id, request, channels, now: now)
    }

    private mutating func enter(
        _ id: UInt32, _ request: ClientCommand.Connect, _ channels: [(found: Found, grant: SubscriptionGrant)],
        now: Int64
    ) -> [Action] {
        self.state = .connected
        let ping = self.transport.hasNativePings ? nil : self.rules.pingInterval
        var connected = ClientConnected(
            client: self.client, ttl: self.asksToStay ? nil : Self.ttl(self.credentials.expires, now: now), ping: ping)
        if self.transport.path.isUnidirectional { connected.wantsPong = false }
        connected.data = self.credentials.data
        var actions: [Action] = [.connected(user: self.user)]
        if let personal = self.rules.personal, personal.isSingle, !self.user.isEmpty,
            let channel = try? ClientChannel(personal.channel(of: self.user))
        {
            actions.append(.replaceOthers(in: channel))
        }
        for (found, grant) in channels {
            let since = request.subscriptions[found.channel.text].flatMap { $0.recovers ? $0.position : nil }
            let wishes = SubscriptionWishes(
                positioning: true, recovery: true, joinLeave: false, since: since ?? grant.since)
            actions.append(self.begin(found, .connect, grant, wishes, now: now))
        }
        self.setDeadline()
        guard !channels.isEmpty else { return actions + [.reply(ClientReply(id, .connect(connected)))] }
        self.pending = .entering(id: id, connected, left: channels.count)
        return actions
    }

    /// All channels that a connection has without asking, sorted so that there is one order.
    private func grants(_ credentials: ClientCredentials) -> [(String, SubscriptionGrant)] {
        var grants = credentials.channels
        if let personal = self.rules.personal, !credentials.user.isEmpty {
            let name = personal.channel(of: credentials.user)
            grants[name] = grants[name] ?? SubscriptionGrant()
        }
        return grants.sorted { $0.key < $1.key }
    }

    /// One of the connection's own channels is open, or was taken away before it was.
    mutating func entered(_ channel: String, _ subscribed: ClientSubscribed?) -> [Action] {
        guard case .entering(let id, var connected, let left)? = self.pending else { return [] }
        connected.subscriptions[channel] = subscribed
        guard left <= 1 else {
            self.pending = .entering(id: id, connected, left: left - 1)
            return []
        }
        self.pending = nil
        // Others learn of it when the browser does.
        let arrivals = connected.subscriptions.keys.sorted().flatMap { self.arrival($0) }
        return [.reply(ClientReply(id, .connect(connected)))] + arrivals
    }

    /// One of the connection's own channels cannot be opened, so it gets none of them.
    mutating func enteringFailed() -> [Action] {
        guard case .entering(let id, _, _)? = self.takePending() else { return [] }
        let begun = self.subscriptions.values.filter { $0.isOpen }
        var actions: [Action] = []
        for subscription in begun { actions.append(.close(subscription.channel)) }
        actions += begun.filter(\.options.presence).map { .removePresence($0.channel) }
        self.subscriptions = [:]
        return actions + self.turnAway(id, .internal)
    }

    /// The connection cannot be used; the SDK closes it.
    mutating func turnAway(_ id: UInt32, _ error: ClientError) -> [Action] {
        self.state = .refused
        self.credentials = .anonymous
        self.setDeadline()
        return self.refuse(id, error) + [.skipRestOfFrame]
    }
}
