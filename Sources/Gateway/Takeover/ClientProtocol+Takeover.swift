import ChannelLayer

/// How the protocol of one connection goes on in another gateway.
extension ClientProtocol {
    /// Whether nothing is under way: a command, a beginning, a question to the application, a loss that is to be told.
    var canMove: Bool {
        guard self.isConnected, !self.isBusy, !self.isAskingToStay, self.lost.isEmpty else { return false }
        return self.subscriptions.values.allSatisfy { $0.isOpen && !$0.isAskingToStay }
    }

    /// Where it stands.
    ///
    /// - Parameters:
    ///   - secret: the connection's.
    ///   - number: what stands for a channel's name.
    ///   - place: how far a stream was told; `nil` when that cannot be said now.
    /// - Returns: `nil` when a place is missing.
    func snapshot(
        secret: String, number: (ClientChannel) -> Int64, place: (ClientChannel) -> ClientSnapshot.Place?
    ) -> ClientSnapshot? {
        var credentials = self.credentials
        credentials.data = nil
        credentials.channels = credentials.channels.mapValues { _ in SubscriptionGrant() }
        var snapshot = ClientSnapshot(
            client: self.client, secret: secret, transport: self.transport, credentials: credentials,
            headers: self.headers, awaitsPong: self.awaitsPong, subscriptions: [])
        for (name, subscription) in self.subscriptions {
            let known = subscription.isPositioned ? place(subscription.channel) : nil
            guard !subscription.isPositioned || known != nil,
                self.rules.namespaces.all.indices.contains(subscription.namespace)
            else { return nil }
            let options = self.rules.namespaces.all[subscription.namespace]
            snapshot.subscriptions.append(
                ClientSnapshot.Subscription(
                    channel: name, overrides: ChannelOverrides(from: options, to: subscription.options),
                    isServerSide: subscription.isServerSide, info: subscription.info, expires: subscription.expires,
                    isRecoverable: subscription.isRecoverable, hearsJoinLeave: subscription.hearsJoinLeave,
                    form: subscription.form, filter: subscription.filter?.source,
                    number: subscription.form.contains(.compact) ? number(subscription.channel) : 0, place: known))
        }
        return snapshot
    }

    /// Goes on where another gateway's stood.
    ///
    /// - Throws: for what these rules do not have, or what no gateway says.
    init(_ snapshot: ClientSnapshot, rules: Rules) throws(SnapshotError) {
        self.init(rules: rules, client: snapshot.client, transport: snapshot.transport)
        self.state = .connected
        self.credentials = snapshot.credentials
        self.headers = snapshot.headers
        self.awaitsPong = snapshot.awaitsPong
        for subscription in snapshot.subscriptions { try self.goOn(subscription) }
        self.setDeadline()
    }

    private mutating func goOn(_ old: ClientSnapshot.Subscription) throws(SnapshotError) {
        guard case .success(let found) = self.lookUp(old.channel) else {
            throw SnapshotError("there is no namespace for the channel \(old.channel)")
        }
        var filter: TagsFilter?
        if let source = old.filter {
            filter = try? TagsFilter(source)
            guard filter != nil else { throw SnapshotError("a filter of \(old.channel) makes no sense") }
        }
        self.lastSerial &+= 1
        self.subscriptions[old.channel] = ClientSubscription(
            channel: found.channel, namespace: found.namespace, options: old.overrides.applied(to: found.options),
            serial: self.lastSerial, state: .open, isServerSide: old.isServerSide, info: old.info, data: nil,
            expires: old.expires, isPositioned: old.place != nil, isRecoverable: old.isRecoverable,
            hearsJoinLeave: old.hearsJoinLeave, form: old.form, filter: filter, since: nil, rejectsUnrecovered: false)
    }
}

extension ChannelOverrides {
    /// What makes of a namespace's options those of one subscription.
    fileprivate init(from options: ChannelOptions, to own: ChannelOptions) {
        func change(_ path: KeyPath<ChannelOptions, Bool>) -> Bool? {
            options[keyPath: path] == own[keyPath: path] ? nil : own[keyPath: path]
        }
        self.presence = change(\.presence)
        self.joinLeave = change(\.joinLeave)
        self.forcePushJoinLeave = change(\.forcePushJoinLeave)
        self.forcePositioning = change(\.forcePositioning)
        self.forceRecovery = change(\.forceRecovery)
    }
}
