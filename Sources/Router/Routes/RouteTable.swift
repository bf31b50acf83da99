import HTTP1

/// Which route a request takes: the gateways' path first, then the longest path of the request's host, then the longest of
/// any host, then the workers.
///
/// The gateways come first on every host because a connection's first request is handed over by its path alone. A class,
/// because every request is given it, and copying a value costs a reference for each of its parts.
package final class RouteTable: Sendable {
    /// The path can be read in two ways that lead to different routes.
    struct Ambiguous: Error {}

    private let gatewayPath: String
    private let gateways: Route
    private let workers: Route
    /// Longest path first.
    private let everywhere: [Route]
    private let hosts: [String: [Route]]
    /// Longest domain first.
    private let domains: [(pattern: HostPattern, routes: [Route])]

    /// - Parameters:
    ///   - gatewayPath: the path prefix of the gateways; empty for none.
    ///   - routes: in any order; of two for the same host and path the first one counts.
    package init(gatewayPath: String, routes: [Route] = []) {
        self.gatewayPath = gatewayPath
        self.gateways = Route(path: gatewayPath, target: .pool(PoolNumber.gateways))
        self.workers = Route(path: "/", target: .pool(PoolNumber.workers))
        func sorted(_ routes: [Route]) -> [Route] {
            // Sorting keeps no order among equals, so their places are part of what is compared.
            routes.enumerated().sorted {
                ($1.element.path.utf8.count, $0.offset) < ($0.element.path.utf8.count, $1.offset)
            }.map(\.element)
        }
        self.everywhere = sorted(routes.filter { $0.host == nil })
        var hosts: [String: [Route]] = [:]
        var domains: [HostPattern: [Route]] = [:]
        for route in routes {
            switch route.host {
            case .host(let name): hosts[name, default: []].append(route)
            case .below: domains[route.host ?? .below(""), default: []].append(route)
            case nil: break
            }
        }
        self.hosts = hosts.mapValues(sorted)
        self.domains = domains.map { ($0.key, sorted($0.value)) }
            .sorted { $0.pattern.description.utf8.count > $1.pattern.description.utf8.count }
    }

    /// The route of a request.
    ///
    /// - Parameters:
    ///   - target: in origin form, or `*`.
    ///   - host: of the request, perhaps with a port.
    /// - Throws: `Ambiguous` when an application that undoes `%2e`, `..` or `//` would see a path of another route.
    func route(target: String, host: String?) throws(Ambiguous) -> Route {
        let path = RequestPath.pathOnly(target).utf8
        let isPlain = RequestPath.isPlain(path)
        guard !self.isSimple || !isPlain else { return self.simple(path) }
        let name = host.map(HostPattern.name(of:)) ?? ""
        let route = self.find(path, name)
        guard !isPlain else { return route }
        let resolved = RequestPath.resolved(path)
        guard self.find(resolved[...].utf8, name) === route else { throw Ambiguous() }
        return route
    }

    /// Nothing but gateways and workers, as most have it.
    private var isSimple: Bool { self.everywhere.isEmpty && self.hosts.isEmpty && self.domains.isEmpty }

    private func simple(_ path: Substring.UTF8View) -> Route {
        !self.gatewayPath.isEmpty && path.starts(with: self.gatewayPath.utf8) ? self.gateways : self.workers
    }

    private func find(_ path: Substring.UTF8View, _ host: String) -> Route {
        let simple = self.simple(path)
        guard simple === self.workers, !self.isSimple else { return simple }
        if let route = self.hosts[host]?.first(where: { $0.matches(path) }) { return route }
        for (pattern, routes) in self.domains where pattern.matches(host) {
            if let route = routes.first(where: { $0.matches(path) }) { return route }
        }
        return self.everywhere.first { $0.matches(path) } ?? self.workers
    }
}
