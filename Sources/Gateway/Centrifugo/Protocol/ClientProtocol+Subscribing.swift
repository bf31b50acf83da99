import ChannelLayer

/// Following channels and leaving them.
extension ClientProtocol {
    // MARK: Asked by the browser

    mutating func subscribe(_ id: UInt32, _ request: ClientCommand.Subscribe) -> [Action] {
        guard self.subscriptions[request.channel] == nil else { return self.refuse(id, .alreadySubscribed) }
        guard self.subscriptions.count < self.rules.channelLimit else { return self.refuse(id, .limitExceeded) }
        switch self.lookUp(request.channel) {
        case .failure(let error): return self.refuse(id, error)
        case .success(let found):
            guard request.kind == 0 else { return self.refuse(id, .permissionDenied) }
            guard request.delta.isEmpty || request.delta == "fossil" else { return self.disconnect(.badRequest) }
            if let filter = request.filter {
                guard found.options.allowTagsFilter, (try? TagsFilter(filter)) != nil else {
                    return self.refuse(id, .badRequest)
                }
            }
            switch found.options.subscribeDecision(
                to: found.channel.text, by: self.asker(of: request.channel), hasToken: !request.token.isEmpty)
            {
            case .allowed: return self.begin(id, found, request, SubscriptionGrant(), now: 0)
            case .verify:
                guard self.rules.allowsSubscriptionTokens else { return self.refuse(id, .permissionDenied) }
                self.pending = .verifying(id: id, found, request)
                return [.verifySubscription(token: request.token)]
            case .ask: return self.askToSubscribe(id, found, request)
            case .refused(let error): return self.refuse(id, error)
            }
        }
    }

    /// What a subscription's token says.
    mutating func subscriptionVerified(
        _ result: Result<SubscriptionClaims, ClientCredentials.Fault>, now: Int64
    ) -> [Action] {
        switch (self.takePending(), result) {
        case (.verifying(let id, let found, let request)?, .success(let claims)):
            guard self.isFor(claims, found.channel.text) else { return self.disconnect(.invalidToken) }
            if let expires = claims.grant.expires, expires <= now { return self.refuse(id, .expired) }
            return self.begin(id, found, request, claims.grant, now: now)
        case (.verifying(let id, _, _)?, .failure(.expired)): return self.refuse(id, .tokenExpired)
        case (.verifying(let id, _, _)?, .failure(.unavailable)): return self.refuse(id, .internal)
        case (.verifying(let id, _, _)?, .failure(.invalid)): return self.refuse(id, .permissionDenied)
        case (.refreshingSubscription(let id, let channel)?, let result):
            return self.subscriptionRefreshed(id, channel, result, now: now)
        default: return []
        }
    }

    func isFor(_ claims: SubscriptionClaims, _ channel: String) -> Bool {
        claims.channel == channel && claims.user == self.user
            && (claims.client.map { $0 == self.client } ?? true)
    }

    mutating func begin(
        _ id: UInt32, _ found: Found, _ request: ClientCommand.Subscribe, _ grant: SubscriptionGrant, now: Int64
    ) -> [Action] {
        let wishes = SubscriptionWishes(
            positioning: request.wantsPositioning, recovery: request.wantsRecovery, joinLeave: request.wantsJoinLeave,
            form: Self.form(request, found.options), filter: request.filter.flatMap { try? TagsFilter($0) },
            since: request.since.recovers ? request.since.position : nil,
            rejectsUnrecovered: request.rejectsUnrecovered)
        self.pending = .subscribing(id: id)
        return [self.begin(found, .command(id: id), grant, wishes, now: now)]
    }

    private static func form(_ request: ClientCommand.Subscribe, _ options: ChannelOptions) -> ClientForm {
        var form: ClientForm = []
        // Who leaves publications out, or may lose some, lacks what the patches are for.
        let hearsAll = request.filter == nil && options.slowReaders == .disconnect
        if request.delta == "fossil", options.allowedDeltaTypes.contains(.fossil), hearsAll { form.insert(.delta) }
        if request.takesNumbers, options.allowChannelCompaction { form.insert(.compact) }
        return form
    }

    // MARK: Beginning

    /// Begins a subscription that is allowed.
    mutating func begin(
        _ found: Found, _ purpose: ClientSubscription.Purpose, _ grant: SubscriptionGrant, _ wishes: SubscriptionWishes,
        now: Int64
    ) -> Action {
        let options = grant.overrides.applied(to: found.options)
        let mayRead = options.historyAccess.allows(self.asker(of: found.channel.text))
        let isRecoverable =
            options.keepsHistory
            && (options.forceRecovery || wishes.recovery && (options.allowRecovery || mayRead))
        let isPositioned =
            isRecoverable
            || options.keepsHistory
                && (options.forcePositioning || wishes.positioning && (options.allowPositioning || mayRead))
        self.lastSerial &+= 1
        self.lost.remove(found.channel.text)
        let isServerSide = if case .command = purpose { false } else { true }
        let subscription = ClientSubscription(
            channel: found.channel, namespace: found.namespace, options: options, serial: self.lastSerial,
            state: .opening(purpose), isServerSide: isServerSide, info: grant.info, data: grant.data,
            expires: grant.expires, isPositioned: isPositioned, isRecoverable: isRecoverable,
            hearsJoinLeave: options.joinLeave && (options.forcePushJoinLeave || wishes.joinLeave),
            form: wishes.form, filter: wishes.filter,
            since: wishes.since, rejectsUnrecovered: wishes.rejectsUnrecovered)
        self.subscriptions[found.channel.text] = subscription
        if grant.expires != nil { self.setDeadline() }
        return .open(
            ClientOpening(subscription, presence: options.presence ? self.info(in: found.channel.text) : nil))
    }

    /// Whether what was begun is still wanted.
    func awaits(_ opening: ClientOpening) -> Bool {
        guard let subscription = self.subscriptions[opening.channel.text], subscription.serial == opening.serial else {
            return false
        }
        return !subscription.isOpen
    }

    /// The channel is heard from now on, or cannot be.
    ///
    /// - Parameters:
    ///   - result: what was wanted of the stream; `nil` for nothing. With an error nothing is heard.
    ///   - number: what stands for the channel with those who agreed to it.
    ///   - runs: what others are told who missed the same.
    ///   - now: seconds since 1970.
    mutating func opened(
        _ opening: ClientOpening, _ result: Result<HistoryPage?, LayerError>, number: Int64 = 0,
        runs: WrittenRuns? = nil, now: Int64
    ) -> [Action] {
        let name = opening.channel.text
        guard self.awaits(opening), var subscription = self.subscriptions[name],
            case .opening(let purpose) = subscription.state
        else { return [] }
        guard case .success(let page) = result else { return self.failed(name, purpose) }
        let wasRecovering = subscription.since != nil
        var subscribed = subscription.subscribed(
            page, ttl: self.asksToKeep(subscription) ? nil : Self.ttl(subscription.expires, now: now),
            wasRecovering: wasRecovering, codec: self.transport.form.codec, runs: purpose == .server ? nil : runs)
        if subscription.form.contains(.compact) { subscribed.number = number }
        if case .command(let id) = purpose, wasRecovering, !subscribed.isRecovered, subscription.rejectsUnrecovered {
            self.takeSubscribing()
            self.forget(name)
            let presence: [Action] = subscription.options.presence ? [.removePresence(subscription.channel)] : []
            return [.close(subscription.channel)] + presence + self.refuse(id, .unrecoverablePosition)
        }
        subscription.state = .open
        self.subscriptions[name] = subscription
        switch purpose {
        case .command(let id):
            self.takeSubscribing()
            return [.reply(ClientReply(id, .subscribe(subscribed)))] + self.arrival(name)
        case .connect: return self.entered(name, subscribed)
        case .server: return self.told(name, subscribed) + self.arrival(name)
        }
    }

    private mutating func failed(_ name: String, _ purpose: ClientSubscription.Purpose) -> [Action] {
        self.forget(name)
        switch purpose {
        case .command(let id):
            self.takeSubscribing()
            return self.refuse(id, .internal)
        case .connect: return self.enteringFailed()
        case .server: return []
        }
    }

    private mutating func takeSubscribing() {
        if case .subscribing? = self.pending { self.pending = nil }
    }

    // MARK: Leaving

    mutating func unsubscribe(_ id: UInt32, _ channel: String) -> [Action] {
        guard !channel.isEmpty else { return self.disconnect(.badRequest) }
        self.lost.remove(channel)
        return self.leave(channel) + [.reply(ClientReply(id, .unsubscribe))]
    }

    /// Ends a subscription, whatever it is at.
    mutating func leave(_ channel: String) -> [Action] {
        guard let subscription = self.subscriptions[channel] else { return [] }
        let departure = self.departure(subscription)
        self.forget(channel)
        return [.close(subscription.channel)] + departure
    }

    private mutating func forget(_ channel: String) {
        let hadEnd = self.subscriptions.removeValue(forKey: channel)?.expires != nil
        if hadEnd { self.setDeadline() }
    }

    // MARK: What others learn

    /// Who is subscribed hears itself come, after it was told that it has.
    func arrival(_ channel: String) -> [Action] {
        guard let subscription = self.subscriptions[channel], subscription.options.joinLeave else { return [] }
        return [.announce(join: true, subscription.channel, self.info(in: channel))]
    }

    /// Nobody hears itself go.
    func departure(_ subscription: ClientSubscription) -> [Action] {
        var actions: [Action] = []
        if subscription.options.presence { actions.append(.removePresence(subscription.channel)) }
        if subscription.options.joinLeave, subscription.isOpen {
            actions.append(.announce(join: false, subscription.channel, self.info(in: subscription.channel.text)))
        }
        return actions
    }
}
