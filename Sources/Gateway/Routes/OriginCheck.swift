/// Which pages may open connections.
///
/// A browser sends its cookies with every WebSocket handshake, whatever page made it; the `Origin` it adds, and no
/// script can change, is all that tells one's own page from a stranger's. On by default, with `self`: the page comes
/// from the host the connection goes to.
///
/// Requests without `Origin`:
///
/// * with `Sec-Fetch-Site: same-origin` (an event stream of one's own page) they are treated as one's own page;
/// * with `same-site` or `cross-site` they are refused: that is a page loading the address as an image or the like;
/// * otherwise no browser made them. They are let in when `self` is allowed; with a list that does not name it only
///   without cookies, since somebody else's cookies are what the check is there to protect. (Channels refuses them.)
package struct OriginCheck: Hashable, Sendable {
    private enum Pattern: Hashable, Sendable {
        case all
        case ownHost
        /// A scheme that must be equal, a host or `.domain`, a port that must be equal.
        case host(scheme: String?, host: String, port: UInt16?)
    }

    private let patterns: [Pattern]

    /// One's own host only.
    package static let sameHost = OriginCheck(patterns: [.ownHost])

    private init(patterns: [Pattern]) { self.patterns = patterns }

    /// - Parameter entries: `self`; `example.org` (any scheme and port); `.example.org` (with its subdomains);
    ///   `https://example.org`, `https://.example.org:8443` (scheme and port count, the port defaulting by scheme);
    ///   `*` for all pages.
    /// - Throws: the first entry that is none of these.
    package init(allowing entries: [String]) throws(RouteError) {
        var patterns: [Pattern] = []
        for entry in entries { patterns.append(try Self.pattern(entry)) }
        self.init(patterns: patterns)
    }

    private static func pattern(_ entry: String) throws(RouteError) -> Pattern {
        if entry == "*" { return .all }
        if entry == "self" { return .ownHost }
        let split = WebOrigin.split(entry)
        guard let authority = HostAndPort(split?.rest ?? entry), !authority.host.contains("*"), authority.host != "."
        else {
            throw RouteError(
                "\"\(entry)\" is no origin, wanted for example \"self\", \"https://example.org\", \".example.org\" or \"*\""
            )
        }
        let port = authority.port ?? split.flatMap { WebOrigin.defaultPort(of: $0.scheme) }
        return .host(scheme: split?.scheme, host: authority.host, port: port)
    }

    /// Lets a handshake pass.
    ///
    /// - Throws: `origin`, with what was found.
    package func check(_ handshake: Handshake) throws(Refusal) {
        guard !self.patterns.contains(.all) else { return }
        let fields = handshake.head.fields
        let host = handshake.requestedHost.flatMap { HostAndPort($0) }
        guard let origin = fields["Origin"] else {
            return try self.checkWithoutOrigin(
                site: fields["Sec-Fetch-Site"], host: host, hasCookies: fields.contains("Cookie"))
        }
        guard let parsed = WebOrigin(origin), self.patterns.contains(where: { Self.matches($0, parsed, host: host) })
        else {
            throw Refusal(
                .origin,
                "origin \"\(origin)\" is not allowed for host \"\(handshake.requestedHost ?? "")\"; "
                    + "allowed_origins of the route or the gateway lists those that are")
        }
    }

    private static func matches(_ pattern: Pattern, _ origin: WebOrigin, host own: HostAndPort?) -> Bool {
        switch pattern {
        case .all:
            return true
        case .ownHost:
            guard let own, own.host == origin.authority.host else { return false }
            // Whether the browser spoke TLS is not known here: without a port in `Host` it was the default one.
            return own.port == origin.authority.port || own.port == origin.port
        case .host(let scheme, let host, let port):
            return (scheme == nil || scheme == origin.scheme) && Self.isSameDomain(origin.authority.host, host)
                && (port == nil || port == origin.port)
        }
    }

    private static func isSameDomain(_ host: String, _ pattern: String) -> Bool {
        pattern.hasPrefix(".") ? host.hasSuffix(pattern) || host == pattern.dropFirst() : host == pattern
    }

    private func checkWithoutOrigin(site: String?, host: HostAndPort?, hasCookies: Bool) throws(Refusal) {
        switch site {
        case "same-origin":
            let isListed = self.patterns.contains { pattern in
                guard case .host(_, let name, _) = pattern else { return pattern == .ownHost }
                return host.map { Self.isSameDomain($0.host, name) } ?? false
            }
            guard !isListed else { return }
        case nil, "none":
            guard !self.patterns.contains(.ownHost), hasCookies else { return }
        default:
            throw Refusal(.origin, "a page of another site loads this address without telling its origin")
        }
        throw Refusal(.origin, "the request has cookies and no origin, and allowed_origins does not name \"self\"")
    }
}
