/// How browsers are served that choose their channels themselves, by the Centrifugo client protocol.
package struct ClientConfiguration: Sendable {
    /// What checks connections' tokens; `nil`: no token counts.
    package var tokens: TokenAuthentication?
    /// Whether who has no token is let in, as a visitor without a user.
    package var allowsAnonymous = false
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

    /// What connections do when the layer may have missed messages.
    package enum GapBehaviour: String, Hashable, Sendable, CaseIterable {
        /// Nothing: the page does not mind.
        case ignore
        /// They are closed with 3010, and their SDK connects and subscribes again after a random while.
        case reconnect
    }

    package init() {}

    /// With what others need.
    var servedPaths: Set<ClientPath> {
        self.transports.contains(where: \.needsEmulation) ? self.transports.union([.emulation]) : self.transports
    }
}

/// The same, ready to be used.
final class ClientEndpoint: Sendable {
    let configuration: ClientConfiguration
    let rules: ClientProtocol.Rules
    /// What `Form` calls the first namespace; the others follow.
    let firstForm: Int
    /// Seconds a browser has for its `connect`.
    let connectTime: Int

    init(_ configuration: ClientConfiguration, in gateway: GatewayConfiguration, firstForm: Int) {
        self.configuration = configuration
        self.firstForm = firstForm
        self.connectTime = gateway.handshakeTimeout
        self.rules = ClientProtocol.Rules(
            namespaces: configuration.namespaces, channelLimit: configuration.channelLimit,
            allowsAnonymous: configuration.allowsAnonymous, allowsTokens: configuration.tokens != nil,
            pingInterval: UInt32(clamping: gateway.session.pingInterval))
    }

    /// What the namespaces make of messages, in the order of their forms.
    var pushes: [ChannelPush] { self.configuration.namespaces.all.map(ChannelPush.init) }
}
