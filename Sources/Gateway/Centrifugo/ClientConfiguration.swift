import ChannelLayer

/// How browsers are served that choose their channels themselves, by the Centrifugo client protocol.
package struct ClientConfiguration: Sendable {
    /// What checks connections' tokens; `nil`: no token counts.
    package var tokens: TokenAuthentication?
    /// What checks subscriptions' tokens; `nil`: the same.
    package var subscriptionTokens: TokenAuthentication?
    /// Whether who has no token is let in, as a visitor without a user.
    package var allowsAnonymous = false
    /// Whether a token without a user is refused.
    package var refusesAnonymousTokens = false
    /// Everybody may do everything.
    package var isInsecure = false
    /// Which pages may connect; `nil` for the gateway's own setting.
    package var origins: OriginCheck?
    /// Whether only who is on this host may connect.
    package var isLoopbackOnly = false
    package var namespaces = ChannelNamespaces()
    /// What is served.
    package var transports: Set<ClientPath> = [.webSocket]
    /// Channels of one connection at most.
    package var channelLimit = 128
    package var gap = GapBehaviour.ignore
    package var personal: PersonalChannels?
    /// Where the application is asked about what.
    package var proxies: [ProxyEvent: ProxyConfiguration] = [:]
    /// Where it is asked instead about channels of namespaces that say so.
    package var namedProxies: [String: ProxyConfiguration] = [:]
    /// Seconds that a connection, or a subscription, may live after its end, for a new token to come.
    package var expiryGrace = 25
    package var subscriptionGrace = 25
    /// Seconds that epoch and offset of a stream outlive its publications.
    package var historyMetaTime = 30 * 86_400
    /// Publications that one browser gets at once.
    package var historyLimit = 300
    package var recoveryLimit = 300
    /// Seconds after which a stream is compared with the layer's.
    package var positionCheckInterval = 40
    /// Groups that are heard in channels of other names, and kept always.
    package var groupLinks = GroupLinks()

    /// What connections do when the layer may have missed messages.
    package enum GapBehaviour: String, Hashable, Sendable, CaseIterable {
        /// Nothing: the page does not mind.
        case ignore
        /// They are closed with 3010, and their SDK connects and subscribes again after a random while.
        case reconnect
    }

    package init() {}

    /// The namespaces with what they leave to all of them.
    package var wholeNamespaces: ChannelNamespaces {
        self.namespaces.changed { if $0.historyMetaTime == 0 { $0.historyMetaTime = self.historyMetaTime } }
    }

    /// With what others need.
    var servedPaths: Set<ClientPath> {
        self.transports.contains(where: \.needsEmulation) ? self.transports.union([.emulation]) : self.transports
    }
}

/// The same, ready to be used.
final class ClientEndpoint: Sendable {
    let configuration: ClientConfiguration
    let rules: ClientProtocol.Rules
    let tokens: ClientTokens?
    let layer: (any ChannelLayer)?
    /// What `Form` calls the first namespace; the others follow.
    let firstForm: Int
    /// Seconds a browser has for its `connect`.
    let connectTime: Int
    /// Who is asked about what.
    let proxies: ProxyEndpoints

    /// - Parameter layer: what carries messages, and keeps history and presence, if it does.
    init(
        _ configuration: ClientConfiguration, in gateway: GatewayConfiguration, firstForm: Int,
        layer: (any ChannelLayer)?, proxies: ProxyEndpoints = ProxyEndpoints()
    ) {
        self.proxies = proxies
        self.configuration = configuration
        self.layer = layer
        self.firstForm = firstForm
        self.connectTime = gateway.handshakeTimeout
        let subscriptionTokens = configuration.subscriptionTokens ?? configuration.tokens
        self.tokens = subscriptionTokens.map {
            ClientTokens(connections: configuration.tokens, subscriptions: $0)
        }
        var rules = ClientProtocol.Rules()
        rules.namespaces = configuration.wholeNamespaces.changed {
            // What cannot be kept is not available, and its commands say so.
            if layer?.store == nil { $0.keepNothing() }
        }
        rules.channelLimit = configuration.channelLimit
        rules.allowsAnonymous = configuration.allowsAnonymous || configuration.isInsecure
        rules.isInsecure = configuration.isInsecure
        rules.allowsTokens = configuration.tokens != nil
        rules.allowsSubscriptionTokens = subscriptionTokens != nil
        rules.refusesAnonymousTokens = configuration.refusesAnonymousTokens
        rules.pingInterval = UInt32(clamping: gateway.session.pingInterval)
        rules.expiryGrace = Int64(configuration.expiryGrace)
        rules.subscriptionGrace = Int64(configuration.subscriptionGrace)
        rules.historyLimit = configuration.historyLimit
        rules.recoveryLimit = configuration.recoveryLimit
        rules.personal = configuration.personal
        rules.asks = proxies.ownEvents
        self.rules = rules
    }

    /// What the namespaces make of messages, in the order of their forms.
    var pushes: [ChannelPush] { self.configuration.namespaces.all.map(ChannelPush.init) }
}
