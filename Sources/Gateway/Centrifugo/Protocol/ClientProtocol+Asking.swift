import ChannelLayer
import JSON

/// What the application decides (the event proxy).
extension ClientProtocol {
    /// Seconds after which the application is asked again that did not say whether somebody may stay.
    private static let secondTry: Int64 = 60

    // MARK: Questions

    /// A `connect` without a token.
    mutating func askToConnect(_ id: UInt32, _ request: ClientCommand.Connect) -> [Action] {
        self.pending = .connecting(id: id, request)
        self.headers = request.headers
        var details = ProxyDetails()
        details.name = request.name
        details.version = request.version
        details.data = request.data
        if self.transport.path.isUnidirectional { details.channels = request.subscriptions.keys.sorted() }
        return [.ask(.connect, details)]
    }

    mutating func askToSubscribe(_ id: UInt32, _ found: Found, _ request: ClientCommand.Subscribe) -> [Action] {
        guard self.canAsk(.subscribe, found.options) else { return self.refuse(id, .notAvailable) }
        self.pending = .verifying(id: id, found, request)
        return [.ask(.subscribe, Self.details(request, found), at: found.options.subscribeProxy)]
    }

    /// Whether there is somebody who could be asked about an event in a namespace.
    private func canAsk(_ event: ProxyEvent, _ options: ChannelOptions) -> Bool {
        options.proxy(for: event) != .own || self.rules.asks.contains(event)
    }

    /// What the application would be asked for a command that is still to come, and where; `nil` when nothing, as far as is
    /// known.
    func foresees(_ command: ClientCommand) -> (details: ProxyDetails, choice: ProxyChoice)? {
        guard self.isConnected, case .subscribe(let request)? = command.method,
            self.subscriptions[request.channel] == nil, case .success(let found) = self.lookUp(request.channel),
            found.options.subscribeDecision(
                to: request.channel, by: self.asker(of: request.channel), hasToken: !request.token.isEmpty) == .ask,
            self.canAsk(.subscribe, found.options)
        else { return nil }
        return (Self.details(request, found), found.options.subscribeProxy)
    }

    private static func details(_ request: ClientCommand.Subscribe, _ found: Found) -> ProxyDetails {
        ProxyDetails(channel: found.channel.text, token: request.token, data: request.data)
    }

    mutating func askToPublish(_ id: UInt32, _ found: Found, _ data: ClientData) -> [Action] {
        guard self.canAsk(.publish, found.options) else { return self.refuse(id, .notAvailable) }
        self.pending = .moderating(id: id, found, data)
        return [.ask(.publish, ProxyDetails(channel: found.channel.text, data: data), at: found.options.publishProxy)]
    }

    mutating func call(_ id: UInt32, _ method: String, _ data: ClientData?) -> [Action] {
        guard self.rules.asks.contains(.rpc) else { return self.refuse(id, .notAvailable) }
        self.pending = .calling(id: id)
        return [.ask(.rpc, ProxyDetails(method: method, data: data))]
    }

    // MARK: Answers

    /// What the application says.
    ///
    /// - Parameters:
    ///   - channel: of a question about one.
    ///   - now: seconds since 1970.
    mutating func answered(_ event: ProxyEvent, channel: String, _ answer: ProxyAnswer, now: Int64) -> [Action] {
        switch event {
        case .refresh: return self.refreshAnswered(answer, now: now)
        case .subscriptionRefresh: return self.subscriptionRefreshAnswered(channel, answer, now: now)
        case .connect, .subscribe, .publish, .rpc: break
        }
        switch (self.takePending(), answer) {
        case (nil, _): return []
        case (_, .disconnect(let reason)): return self.disconnect(reason)
        case (.connecting(let id, let request)?, _): return self.connectAnswered(id, request, answer, now: now)
        case (.verifying(let id, _, _)?, .error(let error)), (.moderating(let id, _, _)?, .error(let error)),
            (.calling(let id)?, .error(let error)):
            return self.refuse(id, error)
        case (.verifying(let id, _, _)?, .failed), (.moderating(let id, _, _)?, .failed), (.calling(let id)?, .failed):
            return self.refuse(id, .internal)
        case (.verifying(let id, let found, let request)?, _):
            guard let grant = SubscriptionGrant(answer.result ?? ProxyResult()) else {
                return self.refuse(id, .internal)
            }
            return self.begin(id, found, request, grant, now: now)
        case (.moderating(let id, let found, let data)?, _):
            self.pending = .publishing(id: id)
            let result = answer.result ?? ProxyResult()
            return [
                .publishDecided(
                    found.channel, namespace: found.namespace, data: result.data ?? data,
                    publisher: self.info(in: found.channel.text), result)
            ]
        case (.calling(let id)?, _): return [.reply(ClientReply(id, .rpc(answer.result?.data)))]
        case (let pending?, _):
            // Something else is under way, which this answer is not for.
            self.pending = pending
            return []
        }
    }

    private mutating func connectAnswered(
        _ id: UInt32, _ request: ClientCommand.Connect, _ answer: ProxyAnswer, now: Int64
    ) -> [Action] {
        switch answer {
        case .failed: return self.turnAway(id, .internal)
        case .error(let error): return self.turnAway(id, error)
        case .nothing:
            guard self.rules.allowsAnonymous else { return self.disconnect(.badRequest) }
            return self.enter(id, request, .anonymous, now: now)
        case .result(let result):
            guard let credentials = ClientCredentials(result) else { return self.turnAway(id, .internal) }
            return self.enter(id, request, credentials, now: now)
        case .disconnect(let reason): return self.disconnect(reason)
        }
    }

    // MARK: Longer lives

    /// The application says how long the connection lives, and is asked when that is over.
    var asksToStay: Bool { self.credentials.isAnswer && self.rules.asks.contains(.refresh) }

    func asksToKeep(_ subscription: ClientSubscription) -> Bool {
        subscription.options.asksToRefresh && self.canAsk(.subscriptionRefresh, subscription.options)
    }

    func isAskingToKeep(_ channel: String) -> Bool { self.subscriptions[channel]?.isAskingToStay ?? false }

    /// Asks about everything that would end now.
    mutating func askToStay(now: Int64) -> [Action] {
        var actions: [Action] = []
        if self.asksToStay, !self.isAskingToStay, let expires = self.credentials.expires, expires <= now {
            self.isAskingToStay = true
            actions.append(.ask(.refresh, ProxyDetails()))
        }
        for (channel, subscription) in self.subscriptions.sorted(by: { $0.key < $1.key }) {
            guard subscription.isOpen, !subscription.isAskingToStay, self.asksToKeep(subscription),
                let expires = subscription.expires, expires <= now
            else { continue }
            self.subscriptions[channel]?.isAskingToStay = true
            actions.append(
                .ask(
                    .subscriptionRefresh, ProxyDetails(channel: channel), at: subscription.options.refreshProxy))
        }
        if !actions.isEmpty { self.setDeadline() }
        return actions
    }

    private mutating func refreshAnswered(_ answer: ProxyAnswer, now: Int64) -> [Action] {
        guard case .connected = self.state, self.isAskingToStay else { return [] }
        self.isAskingToStay = false
        switch answer {
        case .disconnect(let reason): return self.disconnect(reason)
        case .failed, .error: self.credentials.expires = Self.sum(now, Self.secondTry)
        case .nothing: return self.disconnect(.connectionExpired)
        case .result(let result):
            if result.isExpired || result.expires != 0 && result.expires <= now {
                return self.disconnect(.connectionExpired)
            }
            self.credentials.expires = result.expires == 0 ? nil : result.expires
            if let info = result.info { self.credentials.info = info }
            if let meta = result.meta { self.credentials.meta = meta }
        }
        self.setDeadline()
        return []
    }

    private mutating func subscriptionRefreshAnswered(
        _ channel: String, _ answer: ProxyAnswer, now: Int64
    ) -> [Action] {
        guard case .connected = self.state, self.isAskingToKeep(channel) else { return [] }
        self.subscriptions[channel]?.isAskingToStay = false
        switch answer {
        case .disconnect(let reason): return self.disconnect(reason)
        case .failed, .error: self.subscriptions[channel]?.expires = Self.sum(now, Self.secondTry)
        case .nothing: return self.takeAway(channel, .expired)
        case .result(let result):
            if result.isExpired || result.expires != 0 && result.expires <= now {
                return self.takeAway(channel, .expired)
            }
            self.subscriptions[channel]?.expires = result.expires == 0 ? nil : result.expires
            if let info = result.info { self.subscriptions[channel]?.info = info }
        }
        self.setDeadline()
        return []
    }
}

extension ChannelOptions {
    /// Which endpoint is asked about an event; what is not of channels has its own.
    func proxy(for event: ProxyEvent) -> ProxyChoice {
        switch event {
        case .subscribe: self.subscribeProxy
        case .publish: self.publishProxy
        case .subscriptionRefresh: self.refreshProxy
        case .connect, .refresh, .rpc: .own
        }
    }
}

extension ProxyAnswer {
    fileprivate var result: ProxyResult? { if case .result(let result) = self { result } else { nil } }
}

extension ClientCredentials {
    /// `nil` when the options of a subscription are none.
    fileprivate init?(_ result: ProxyResult) {
        self.init()
        self.user = result.user ?? ""
        self.info = result.info
        self.data = result.data
        self.meta = result.meta
        self.expires = result.expires == 0 ? nil : result.expires
        self.isAnswer = true
        for channel in result.channels { self.channels[channel] = SubscriptionGrant() }
        for subscription in result.subscriptions {
            do throws(ClientClaims.Malformed) {
                let claims = try ClientClaims(subscription.options)
                self.channels[subscription.channel] = try SubscriptionGrant(claims, expires: nil)
            } catch {
                return nil
            }
        }
    }
}

extension SubscriptionGrant {
    /// `nil` when the options it overrides are none.
    fileprivate init?(_ result: ProxyResult) {
        self.init()
        self.info = result.info
        self.data = result.data
        self.expires = result.expires == 0 ? nil : result.expires
        guard let override = result.override else { return }
        do throws(ClientClaims.Malformed) {
            self.overrides = try ChannelOverrides(ClientClaims(override))
        } catch {
            return nil
        }
    }
}
