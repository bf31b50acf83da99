import ChannelLayer

/// A route ready to be used: its settings, the number of its rule set, who is asked about its visitors.
final class GatewayRoute: Sendable {
    let configuration: RouteConfiguration
    /// Which of the gateway's different rule sets.
    let ruleSet: Int
    let authenticator: Authenticator

    init(_ configuration: RouteConfiguration, ruleSet: Int, authenticator: Authenticator) {
        self.configuration = configuration
        self.ruleSet = ruleSet
        self.authenticator = authenticator
    }
}

/// All routes of a gateway.
struct GatewayRoutes: Sendable {
    let table: RouteTable
    let routes: [GatewayRoute]
    let ruleSets: [RuleSet]

    init(_ configurations: [RouteConfiguration], ask: @escaping AskWorker) throws(RouteError) {
        self.table = try RouteTable(configurations.map(\.path))
        var registry = RuleSetRegistry()
        self.routes = configurations.map {
            GatewayRoute(
                $0, ruleSet: registry.id(for: $0.rules),
                authenticator: Authenticator($0.authentication, ask: ask, now: WallClock.seconds))
        }
        self.ruleSets = registry.sets
    }

    /// The route of a path, still percent-encoded, and what the path captured.
    func find(_ path: String) -> (route: GatewayRoute, captures: [String])? {
        guard let match = self.table.match(path), self.routes.indices.contains(match.route) else { return nil }
        return (self.routes[match.route], match.captures)
    }
}
