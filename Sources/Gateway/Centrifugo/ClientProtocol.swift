import ChannelLayer

/// The Centrifugo client protocol v2 of one connection, without I/O and without a clock: a command or an event in, what to
/// do out. Commands are carried out one after the other; while `isBusy` none is to be handed in.
///
/// ```
///            connect            verified                  subscribe, publish, refresh
///   fresh ────────────▶ busy ────────────▶ connected ◀──────────────────────────────▶ busy
///                        │ an error: refused, and nothing counts any more
///   any ── what the protocol forbids ──▶ closed
/// ```
struct ClientProtocol {
    enum Action: Equatable {
        case reply(ClientReply)
        /// Find out whom the token names; then `verified`.
        case verify(token: String)
        /// Somebody is there: from now on pings go out.
        case connected(user: String)
        /// The connection ends so many seconds from now unless it is refreshed; `nil`: it does not.
        case expire(afterSeconds: Int64?)
        /// Hear the channel, with the push of that namespace; then `followed`.
        case follow(ClientChannel, namespace: Int)
        case unfollow(ClientChannel)
        /// Hand it to the layer; then `published`.
        case publish(ClientChannel, data: ClientData, publisher: ClientInfo)
        /// What stands behind the command in its frame does not count.
        case skipRestOfFrame
        case disconnect(ClientDisconnect)
    }

    /// What a gateway's connections have in common.
    struct Rules {
        var namespaces = ChannelNamespaces()
        /// Channels of one connection at most.
        var channelLimit = 128
        var allowsAnonymous = false
        var allowsTokens = true
        /// Seconds.
        var pingInterval: UInt32 = 25
        /// Seconds that a connection may live after its token's end.
        var expiryGrace: Int64 = 25
    }

    private enum State {
        case fresh
        case connected
        /// `connect` was answered with an error.
        case refused
        case closed
    }
    private enum Pending {
        case connecting(id: UInt32)
        case refreshing(id: UInt32)
        case subscribing(id: UInt32, ClientChannel, ClientCommand.Subscribe)
        case publishing(id: UInt32)
    }

    private let rules: Rules
    private let client: String
    private let transport: ClientTransport
    private var state = State.fresh
    private var pending: Pending?
    private var awaitsPong = false
    private var user = ""
    /// What others see of this connection beside what it publishes.
    private var publisher = ClientInfo(user: "", client: "")
    private(set) var subscriptions: Set<String> = []

    /// - Parameter client: the connection's id, plain characters only.
    init(rules: Rules, client: String, transport: ClientTransport = ClientTransport()) {
        self.rules = rules
        self.transport = transport
        self.client = client
    }

    /// A command is under way, and the next one has to wait for it.
    var isBusy: Bool { self.pending != nil }
    /// Nothing was said yet.
    var isFresh: Bool { if case .fresh = self.state { !self.isBusy } else { false } }
    var isConnected: Bool { if case .connected = self.state { true } else { false } }

    // MARK: Commands

    mutating func handle(_ command: ClientCommand) -> [Action] {
        precondition(!self.isBusy, "a command is handed in while another one is under way")
        switch (self.state, command.method) {
        case (.closed, _): return []
        case (.fresh, .connect(let request)?) where command.id > 0: return self.connect(command.id, request)
        case (.connected, .send?): return self.disconnect(.notAvailable)
        case (.connected, let method?) where command.id > 0: return self.perform(method, command.id)
        case (.connected, nil) where command.isPong && self.awaitsPong:
            self.awaitsPong = false
            return []
        default: return self.disconnect(.badRequest)
        }
    }

    private mutating func perform(_ method: ClientCommand.Method, _ id: UInt32) -> [Action] {
        func unavailable(_ channel: String) -> [Action] {
            [.reply(ClientReply(id, .error(self.lookUp(channel).failure ?? .notAvailable)))]
        }
        switch method {
        case .connect, .ping, .send: return self.disconnect(.badRequest)
        case .subscribe(let request): return self.subscribe(id, request)
        case .unsubscribe(let channel): return self.unsubscribe(id, channel)
        case .publish(let channel, let data): return self.publish(id, channel, data)
        // Kept by no namespace yet.
        case .presence(let channel), .presenceStats(let channel): return unavailable(channel)
        case .history(let request): return unavailable(request.channel)
        case .rpc: return [.reply(ClientReply(id, .error(.notAvailable)))]
        case .refresh(let token): return self.refresh(id, token)
        case .refreshSubscription(let channel, _):
            guard !channel.isEmpty else { return self.disconnect(.badRequest) }
            // No subscription has a token, so none can be refreshed.
            let error: ClientError = self.subscriptions.contains(channel) ? .badRequest : .permissionDenied
            return [.reply(ClientReply(id, .error(error)))]
        }
    }

    /// An undecodable frame, or anything else outside of commands that ends the connection.
    mutating func disconnect(_ reason: ClientDisconnect) -> [Action] {
        if case .closed = self.state { return [] }
        self.state = .closed
        self.pending = nil
        return [.disconnect(reason)]
    }

    // MARK: Connect and refresh

    private mutating func connect(_ id: UInt32, _ request: ClientCommand.Connect) -> [Action] {
        guard !request.token.isEmpty else {
            guard self.rules.allowsAnonymous else { return self.disconnect(.badRequest) }
            return self.connected(id, .anonymous, now: 0)
        }
        guard self.rules.allowsTokens else { return self.disconnect(.invalidToken) }
        self.pending = .connecting(id: id)
        return [.verify(token: request.token)]
    }

    private mutating func refresh(_ id: UInt32, _ token: String) -> [Action] {
        guard !token.isEmpty else { return self.disconnect(.badRequest) }
        guard self.rules.allowsTokens else { return self.disconnect(.invalidToken) }
        self.pending = .refreshing(id: id)
        return [.verify(token: token)]
    }

    /// What a token says.
    ///
    /// - Parameter now: seconds since 1970.
    mutating func verified(
        _ result: Result<ClientCredentials, ClientCredentials.Fault>, now: Int64
    ) -> [Action] {
        switch (self.takePending(), result) {
        case (.connecting(let id)?, .success(let credentials)): return self.connected(id, credentials, now: now)
        case (.connecting(let id)?, .failure(.expired)):
            self.state = .refused
            return [.reply(ClientReply(id, .error(.tokenExpired))), .skipRestOfFrame]
        case (.refreshing(let id)?, .success(let credentials)) where credentials.user == self.user:
            let ttl = Self.ttl(credentials, now: now)
            return [
                .expire(afterSeconds: ttl.map { Int64($0) + self.rules.expiryGrace }),
                .reply(ClientReply(id, .refresh(client: self.client, ttl: ttl))),
            ]
        case (.refreshing?, .failure(.expired)): return self.disconnect(.connectionExpired)
        case (.connecting?, .failure(.invalid)), (.refreshing?, _): return self.disconnect(.invalidToken)
        default: return []
        }
    }

    private mutating func connected(_ id: UInt32, _ credentials: ClientCredentials, now: Int64) -> [Action] {
        self.state = .connected
        self.user = credentials.user
        self.publisher = ClientInfo(
            user: self.user, client: self.client, connection: credentials.info.map(ClientData.json))
        let ttl = Self.ttl(credentials, now: now)
        let ping = self.transport.hasNativePings ? nil : self.rules.pingInterval
        var connected = ClientConnected(client: self.client, ttl: ttl, ping: ping)
        if self.transport.path.isUnidirectional { connected.wantsPong = false }
        return [
            .expire(afterSeconds: ttl.map { Int64($0) + self.rules.expiryGrace }), .connected(user: self.user),
            .reply(ClientReply(id, .connect(connected))),
        ]
    }

    /// At least a second, also when clocks differ; at most a century, so that nothing overflows.
    private static func ttl(_ credentials: ClientCredentials, now: Int64) -> UInt32? {
        credentials.expires.map {
            UInt32(min(max($0.subtractingReportingOverflow(now).partialValue, 1), 3_155_760_000))
        }
    }

    // MARK: Subscribe and unsubscribe

    private mutating func subscribe(_ id: UInt32, _ request: ClientCommand.Subscribe) -> [Action] {
        func refuse(_ error: ClientError) -> [Action] { [.reply(ClientReply(id, .error(error)))] }
        guard !self.subscriptions.contains(request.channel) else { return refuse(.alreadySubscribed) }
        guard self.subscriptions.count < self.rules.channelLimit else { return refuse(.limitExceeded) }
        switch self.lookUp(request.channel) {
        case .failure(let error): return refuse(error)
        case .success(let found):
            guard request.kind == 0 else { return refuse(.permissionDenied) }
            guard request.delta.isEmpty || request.delta == "fossil" else { return self.disconnect(.badRequest) }
            guard request.filter == nil else { return refuse(.badRequest) }
            // Private channels are for who has a token for them, and no such token counts yet.
            guard !found.channel.text.hasPrefix("$"), request.token.isEmpty,
                found.options.maySubscribe(self.user, to: found.channel.text)
            else { return refuse(.permissionDenied) }
            // Nothing is kept, so nothing can be recovered.
            guard !request.since.recovers || !request.rejectsUnrecovered else { return refuse(.unrecoverablePosition) }
            self.pending = .subscribing(id: id, found.channel, request)
            return [.follow(found.channel, namespace: found.namespace)]
        }
    }

    /// The channel is heard from now on, or cannot be.
    mutating func followed(_ channel: ClientChannel, _ error: LayerError?) -> [Action] {
        guard case .subscribing(let id, channel, let request)? = self.takePending() else { return [] }
        guard error == nil else { return [.reply(ClientReply(id, .error(.internal)))] }
        self.subscriptions.insert(channel.text)
        var subscribed = ClientSubscribed()
        subscribed.wasRecovering = request.since.recovers
        return [.reply(ClientReply(id, .subscribe(subscribed)))]
    }

    private mutating func unsubscribe(_ id: UInt32, _ channel: String) -> [Action] {
        guard !channel.isEmpty else { return self.disconnect(.badRequest) }
        let reply = Action.reply(ClientReply(id, .unsubscribe))
        guard self.subscriptions.remove(channel) != nil, let known = try? ClientChannel(channel) else { return [reply] }
        return [.unfollow(known), reply]
    }

    // MARK: Publish

    private mutating func publish(_ id: UInt32, _ channel: String, _ data: ClientData?) -> [Action] {
        func refuse(_ error: ClientError) -> [Action] { [.reply(ClientReply(id, .error(error)))] }
        switch self.lookUp(channel) {
        case .failure(let error): return refuse(error)
        case .success(let found):
            guard let data else { return refuse(.badRequest) }
            let isSubscribed = self.subscriptions.contains(channel)
            guard found.options.mayPublish(self.user, isSubscribed: isSubscribed) else {
                return refuse(.permissionDenied)
            }
            self.pending = .publishing(id: id)
            return [.publish(found.channel, data: data, publisher: self.publisher)]
        }
    }

    /// What the layer says of the publication.
    mutating func published(_ error: LayerError?) -> [Action] {
        guard case .publishing(let id)? = self.takePending() else { return [] }
        return [.reply(ClientReply(id, error == nil ? .publish : .error(.internal)))]
    }

    // MARK: Pings

    /// A ping goes out.
    mutating func pinged() { self.awaitsPong = true }

    // MARK: Helpers

    private struct Found {
        let channel: ClientChannel
        let namespace: Int
        let options: ChannelOptions
    }

    private func lookUp(_ name: String) -> Result<Found, ClientError> {
        let namespaces = self.rules.namespaces
        guard !name.isEmpty, let number = namespaces.number(of: name), namespaces.all.indices.contains(number) else {
            return .failure(.unknownChannel)
        }
        guard let channel = try? ClientChannel(name) else { return .failure(.badRequest) }
        return .success(Found(channel: channel, namespace: number, options: namespaces.all[number]))
    }

    private mutating func takePending() -> Pending? {
        defer { self.pending = nil }
        return self.pending
    }
}

extension Result {
    fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}
