import ChannelLayer
import JSON

/// The Centrifugo client protocol v2 of one connection, without I/O and without a clock: a command or an event in, what to
/// do out. Commands are carried out one after the other; while `isBusy` none is to be handed in. Events come at any time.
///
/// ```
///            connect            verified, opened …        subscribe, publish, history, …
///   fresh ────────────▶ busy ──────────────────▶ connected ◀──────────────────────────▶ busy
///                        │ an error: refused, and nothing counts any more
///   any ── what the protocol forbids ──▶ closed
/// ```
///
/// What a command does stands in extensions: connecting, subscribing, publishing, reading, refreshing; and what comes from
/// elsewhere: the server's commands, time, a lost stream.
struct ClientProtocol {
    enum Action: Equatable {
        case reply(ClientReply)
        case push(ClientPush)
        /// Find out whom the token names; then `verified`.
        case verify(token: String)
        /// Find out what the token allows; then `subscriptionVerified`.
        case verifySubscription(token: String)
        /// Find out what the application says; then `answered`.
        case ask(ProxyEvent, ProxyDetails, at: ProxyChoice = .own)
        /// Somebody is there: from now on pings go out.
        case connected(user: String)
        /// The user may have this connection alone, which those who follow the group are told.
        case replaceOthers(in: ClientChannel)
        /// Hear the channel, with the push of its namespace, and find out what is wanted; then `opened`.
        case open(ClientOpening)
        /// Hear it no longer.
        case close(ClientChannel)
        case removePresence(ClientChannel)
        /// Tell the others who came or went.
        case announce(join: Bool, ClientChannel, ClientInfo)
        /// Hand it to the layer; then `published`.
        case publish(ClientChannel, namespace: Int, data: ClientData, publisher: ClientInfo)
        /// The same, with what the application says of it.
        case publishDecided(ClientChannel, namespace: Int, data: ClientData, publisher: ClientInfo, ProxyResult)
        /// Then `presenceRead`, `statsRead`, `historyRead`.
        case readPresence(ClientChannel)
        case readPresenceStats(ClientChannel)
        case readHistory(ClientChannel, HistoryQuery)
        /// Say `tellLost` of the channel after a random while: many are told the same.
        case tellLater(channel: String)
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
        /// Everybody may do everything.
        var isInsecure = false
        var allowsTokens = true
        var allowsSubscriptionTokens = true
        /// Visitors without a user need no token, or get in with one too.
        var refusesAnonymousTokens = false
        /// Seconds.
        var pingInterval: UInt32 = 25
        /// Seconds that a connection, or a subscription, may live after its end.
        var expiryGrace: Int64 = 25
        var subscriptionGrace: Int64 = 25
        var historyLimit = 300
        var recoveryLimit = 300
        /// What the application decides, where no namespace has an endpoint of its own.
        var asks: Set<ProxyEvent> = []
        /// Every user has a channel of its own.
        var personal: PersonalChannels?
    }

    enum State {
        case fresh
        case connected
        /// `connect` was answered with an error.
        case refused
        case closed
    }
    enum Pending {
        case connecting(id: UInt32, ClientCommand.Connect)
        /// Subscriptions without which the connection is none are being opened.
        case entering(id: UInt32, ClientConnected, left: Int)
        case refreshing(id: UInt32)
        case verifying(id: UInt32, Found, ClientCommand.Subscribe)
        case subscribing(id: UInt32)
        case publishing(id: UInt32)
        /// The application is asked about a publication, or called.
        case moderating(id: UInt32, Found, ClientData)
        case calling(id: UInt32)
        case reading(id: UInt32, HistoryQuery?, dataKey: String?)
        case refreshingSubscription(id: UInt32, channel: String)
    }

    let rules: Rules
    let client: String
    let transport: ClientTransport
    var state = State.fresh
    var pending: Pending?
    var awaitsPong = false
    var credentials = ClientCredentials.anonymous
    /// What the browser would have as fields of its request.
    var headers: [String: String] = [:]
    /// The application is asked whether the connection may stay.
    var isAskingToStay = false
    var subscriptions: [String: ClientSubscription] = [:]
    /// Channels that were lost, and whose subscriber is still to be told.
    var lost: Set<String> = []
    /// One of them was the server's, without which the connection cannot go on.
    var lostOfServer = false
    var lastSerial: UInt64 = 0
    /// When time does something: seconds since 1970.
    private(set) var deadline: Int64?

    /// - Parameter client: the connection's id, plain characters only.
    init(rules: Rules, client: String, transport: ClientTransport = ClientTransport()) {
        self.rules = rules
        self.client = client
        self.transport = transport
    }

    var user: String { self.credentials.user }
    /// A command is under way, and the next one has to wait for it.
    var isBusy: Bool { self.pending != nil }
    /// Nothing was said yet.
    var isFresh: Bool { if case .fresh = self.state { !self.isBusy } else { false } }
    var isConnected: Bool { if case .connected = self.state { true } else { false } }

    /// What others see of this connection beside what it publishes, and in a channel.
    func info(in channel: String? = nil) -> ClientInfo {
        ClientInfo(
            user: self.user, client: self.client, connection: self.credentials.info,
            channel: channel.flatMap { self.subscriptions[$0]?.info })
    }

    // MARK: Commands

    mutating func handle(_ command: ClientCommand) -> [Action] {
        // A mistake of ours, for which one connection is begun anew, and no process.
        guard !self.isBusy else { return self.disconnect(.internalError) }
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
        switch method {
        case .connect, .ping, .send: return self.disconnect(.badRequest)
        case .subscribe(let request): return self.subscribe(id, request)
        case .unsubscribe(let channel): return self.unsubscribe(id, channel)
        case .publish(let channel, let data): return self.publish(id, channel, data)
        case .presence(let channel): return self.presence(id, channel, stats: false)
        case .presenceStats(let channel): return self.presence(id, channel, stats: true)
        case .history(let request): return self.history(id, request)
        case .rpc(let method, let data): return self.call(id, method, data)
        case .refresh(let token): return self.refresh(id, token)
        case .refreshSubscription(let channel, let token): return self.refreshSubscription(id, channel, token)
        }
    }

    // MARK: The end

    /// An undecodable frame, or anything else outside of commands that ends the connection.
    mutating func disconnect(_ reason: ClientDisconnect) -> [Action] {
        if case .closed = self.state { return [] }
        self.state = .closed
        self.pending = nil
        return [.disconnect(reason)]
    }

    /// The connection has ended, and hears nothing any more: what others must know of that.
    mutating func ended() -> [Action] {
        self.state = .closed
        self.pending = nil
        let subscriptions = self.subscriptions.values
        let actions = subscriptions.flatMap { self.departure($0) }
        self.subscriptions = [:]
        return actions
    }

    // MARK: Pings

    /// A ping goes out.
    mutating func pinged() { self.awaitsPong = true }

    // MARK: Helpers

    struct Found {
        let channel: ClientChannel
        let namespace: Int
        let options: ChannelOptions
    }

    func lookUp(_ name: String) -> Result<Found, ClientError> {
        let namespaces = self.rules.namespaces
        guard !name.isEmpty, let number = namespaces.number(of: name), namespaces.all.indices.contains(number) else {
            return .failure(.unknownChannel)
        }
        guard let channel = try? ClientChannel(name) else { return .failure(.badRequest) }
        return .success(Found(channel: channel, namespace: number, options: namespaces.all[number]))
    }

    func asker(of channel: String) -> ChannelAsker {
        ChannelAsker(
            user: self.user, isSubscribed: self.subscriptions[channel]?.isOpen ?? false,
            isInsecure: self.rules.isInsecure)
    }

    /// Whether it follows the channel, or is about to.
    func isHere(_ channel: String) -> Bool { self.subscriptions[channel] != nil }

    func refuse(_ id: UInt32, _ error: ClientError) -> [Action] { [.reply(ClientReply(id, .error(error)))] }

    mutating func takePending() -> Pending? {
        defer { self.pending = nil }
        return self.pending
    }

    /// Finds out anew when time does something; called when an end has changed.
    mutating func setDeadline() {
        var deadline = self.credentials.expires.flatMap { expires in
            self.isAskingToStay ? nil : Self.sum(expires, self.asksToStay ? 0 : self.rules.expiryGrace)
        }
        for subscription in self.subscriptions.values {
            guard let expires = subscription.expires, !subscription.isAskingToStay else { continue }
            let grace = self.asksToKeep(subscription) ? 0 : self.rules.subscriptionGrace
            deadline = min(deadline ?? .max, Self.sum(expires, grace))
        }
        self.deadline = deadline
    }

    static func sum(_ one: Int64, _ other: Int64) -> Int64 {
        let (sum, isTooLarge) = one.addingReportingOverflow(other)
        return isTooLarge ? .max : sum
    }

    /// Seconds until an end: at least one, also when clocks differ; at most a century.
    static func ttl(_ expires: Int64?, now: Int64) -> UInt32? {
        expires.map { UInt32(min(max($0.subtractingReportingOverflow(now).partialValue, 1), 3_155_760_000)) }
    }
}

/// Channels that users have without asking.
package struct PersonalChannels: Hashable, Sendable {
    /// Where they are; empty for names without a namespace.
    package var namespace = ""
    /// A user has one connection: an older one is closed with 3504.
    package var isSingle = false

    package init(namespace: String = "", isSingle: Bool = false) {
        self.namespace = namespace
        self.isSingle = isSingle
    }

    /// `#42`, or `users:#42`.
    func channel(of user: String) -> String { self.namespace.isEmpty ? "#\(user)" : "\(self.namespace):#\(user)" }
}
