import ChannelLayer

/// A route ready to be used: its settings, the number of its rule set, who is asked about its visitors.
final class GatewayRoute: Sendable {
    let configuration: RouteConfiguration
    /// Which of the gateway's different rule sets.
    let ruleSet: Int
    let authenticator: Authenticator
    /// Set where browsers choose their channels themselves, with what is served there.
    let client: ClientEndpoint?
    let clientPath: ClientPath?

    init(
        _ configuration: RouteConfiguration, ruleSet: Int, authenticator: Authenticator, client: ClientEndpoint? = nil,
        clientPath: ClientPath? = nil
    ) {
        self.configuration = configuration
        self.ruleSet = ruleSet
        self.authenticator = authenticator
        self.client = client
        self.clientPath = clientPath
    }
}

/// All routes of a gateway.
struct GatewayRoutes: Sendable {
    let table: RouteTable
    let routes: [GatewayRoute]
    let ruleSets: [RuleSet]

    /// Where browsers choose their channels themselves.
    let client: ClientEndpoint?
    /// What namespaces make of messages, which follow the rule sets in the count of forms.
    let pushes: [ChannelPush]

    /// - Parameter layer: what browsers' own channels are carried by.
    init(
        _ gateway: GatewayConfiguration, ask: @escaping AskWorker, layer: (any ChannelLayer)? = nil,
        proxies: ProxyEndpoints = ProxyEndpoints()
    ) throws(RouteError) {
        var registry = RuleSetRegistry()
        var routes = gateway.routes.map {
            GatewayRoute(
                $0, ruleSet: registry.id(for: $0.rules),
                authenticator: Authenticator($0.authentication, ask: ask, now: WallClock.seconds))
        }
        self.ruleSets = registry.sets
        if let client = gateway.client {
            let endpoint = ClientEndpoint(
                client, in: gateway, firstForm: registry.sets.count, layer: layer, proxies: proxies)
            let authenticator = Authenticator(.anonymous, ask: ask, now: WallClock.seconds)
            var own: [GatewayRoute] = []
            for path in client.servedPaths {
                var route = RouteConfiguration(path: try PathPattern(gateway.pathPrefix + path.path))
                route.origins = client.origins
                route.isLoopbackOnly = client.isLoopbackOnly
                own.append(
                    GatewayRoute(
                        route, ruleSet: 0, authenticator: authenticator, client: endpoint, clientPath: path))
            }
            // The first, since of two for the same path the first counts.
            routes = own + routes
            self.pushes = endpoint.pushes
            self.client = endpoint
        } else {
            self.pushes = []
            self.client = nil
        }
        self.routes = routes
        self.table = try RouteTable(routes.map(\.configuration.path))
    }

    /// The route of a path, still percent-encoded, and what the path captured.
    func find(_ path: String) -> (route: GatewayRoute, captures: [String])? {
        guard let match = self.table.match(path), self.routes.indices.contains(match.route) else { return nil }
        return (self.routes[match.route], match.captures)
    }
}
