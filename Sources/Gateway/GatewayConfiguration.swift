/// All that a gateway can be told. The defaults are those of the settings.
package struct GatewayConfiguration: Sendable {
    /// What every path of the gateway begins with; `/site/channels/` for a site in a sub-directory.
    package var pathPrefix = "/channels/"
    package var routes: [RouteConfiguration] = []
    /// For browsers that choose their channels themselves; `nil` serves none.
    package var client: ClientConfiguration?
    /// How the application is told who comes and goes; `nil` tells nobody.
    package var lifecycle: LifecycleConfiguration?
    /// Origins that pages may come from, for routes without a list of their own; `self` is the host that is asked.
    package var allowedOrigins = ["self"]
    /// Whose `X-Forwarded-For` is believed: addresses, ranges, or `unix:`.
    package var trustedProxies: [String] = ["unix:"]
    package var session = SessionSettings()
    package var limits = ConnectionLimits(total: 100_000)
    /// Whether permessage-deflate is agreed to.
    package var compression = false
    /// Seconds from the connection to the end of the handshake.
    package var handshakeTimeout = 10
    /// Followers written to in one loop turn.
    package var slice = 1000
    /// Seconds over which a stopping gateway sends its browsers away.
    package var drainTime: Duration = .seconds(10)
    /// Milliseconds that an event stream's browser waits before it comes back.
    package var eventStreamRetry = 3000

    /// In a takeover: how much later than the other gateway one may hear a message.
    package var takeoverSkew: Duration = .milliseconds(500)

    package init() {}

    /// Keys of tokens that are fetched.
    var keySets: [RemoteKeySet] {
        let tokens = self.routes.compactMap { route in
            if case .jwt(let token) = route.authentication { token } else { nil }
        }
        return (tokens + [self.client?.tokens, self.client?.subscriptionTokens].compactMap { $0 }).compactMap(\.keySet)
    }
}
