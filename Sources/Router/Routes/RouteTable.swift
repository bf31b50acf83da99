/// Which route a request takes: the gateways' path first, then the longest path of the request's host, then the longest of
/// any host, then the workers.
///
/// The gateways come first on every host because a connection's first request is handed over by its path alone.
package struct RouteTable: Sendable {
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

/// Paths as they come, and as an application may understand them.
enum RequestPath {
    /// The path of a target in origin form.
    static func pathOnly(_ target: String) -> Substring {
        Substring(target.utf8.prefix { $0 != UInt8(ascii: "?") })
    }

    /// Whether nothing in it can be understood in two ways: no `%`, no `//`, no segment that begins with a dot.
    static func isPlain(_ path: Substring.UTF8View) -> Bool {
        var afterSlash = false
        for byte in path {
            if byte == UInt8(ascii: "%") { return false }
            let isSlash = byte == UInt8(ascii: "/")
            if afterSlash, isSlash || byte == UInt8(ascii: ".") { return false }
            afterSlash = isSlash
        }
        return true
    }

    /// With its percent-encoding undone, without segments of dots, and with single slashes (RFC 3986 section 5.2.4). What is
    /// no right encoding stays as it is.
    static func resolved(_ path: Substring.UTF8View) -> String {
        var segments: [[UInt8]] = []
        var bytes = Self.decoded(path)[...]
        let endsOpen = bytes.last == UInt8(ascii: "/")
        while let start = bytes.firstIndex(where: { $0 != UInt8(ascii: "/") }) {
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "/")) ?? bytes.endIndex
            let segment = bytes[start..<end]
            bytes = bytes[end...]
            let isDots = segment.allSatisfy { $0 == UInt8(ascii: ".") } && segment.count <= 2
            if !isDots { segments.append(Array(segment)) }
            if isDots, segment.count == 2, !segments.isEmpty { segments.removeLast() }
            if isDots, bytes.isEmpty { return Self.text(segments, endsOpen: true) }
        }
        return Self.text(segments, endsOpen: endsOpen)
    }

    private static func text(_ segments: [[UInt8]], endsOpen: Bool) -> String {
        let path = segments.reduce(into: [UInt8]()) { $0 += [UInt8(ascii: "/")] + $1 }
        return String(decoding: path.isEmpty || endsOpen ? path + [UInt8(ascii: "/")] : path, as: UTF8.self)
    }

    private static func decoded(_ path: Substring.UTF8View) -> [UInt8] {
        let bytes = Array(path)
        var decoded: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let high = Self.hex(bytes[index + 1]), let low = Self.hex(bytes[index + 2])
            {
                decoded.append(high << 4 | low)
                index += 3
            } else {
                decoded.append(bytes[index])
                index += 1
            }
        }
        return decoded
    }

    private static func hex(_ byte: UInt8) -> UInt8? {
        Character(UnicodeScalar(byte)).hexDigitValue.map(UInt8.init)
    }
}
