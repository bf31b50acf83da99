package import HTTP1

/// The request that opens a connection, as origin check, authentication and templates see it.
package struct Handshake: Sendable {
    /// What the connection will be.
    package enum Kind: Sendable, Hashable {
        case webSocket
        case eventStream
    }

    package let head: RequestHead
    package let kind: Kind
    /// Where it comes from.
    package let client: ClientAddress
    /// What the route's path captured.
    package let captures: [String]

    package init(head: RequestHead, kind: Kind, client: ClientAddress, captures: [String] = []) {
        self.head = head
        self.kind = kind
        self.client = client
        self.captures = captures
    }

    /// An item of the query, decoded; the first of several.
    package func queryItem(_ name: String) -> String? { QueryItems(self.head.query)[name] }

    /// The `Host` the browser asked for, of a trusted proxy what it says the browser asked for.
    package var requestedHost: String? {
        if self.client.isFromTrustedProxy, let forwarded = self.head.fields["X-Forwarded-Host"] {
            // Proxies behind each other make a list; the first one saw the browser.
            let first = forwarded.prefix { $0 != "," }.trimmingSpaces()
            if !first.isEmpty { return String(first) }
        }
        return self.head.fields["Host"]
    }

    /// The value of a cookie; the last of several with the name, as Django takes them.
    package func cookie(_ name: String) -> String? { Cookies(self.head.fields)[name] }

    // MARK: - Subprotocols

    /// What credentials in `Sec-WebSocket-Protocol` begin with. Browsers cannot set headers of a WebSocket, but this one:
    /// `new WebSocket(url, ["carillon.token." + encodeURIComponent(token)])` keeps the token out of URLs and their logs.
    package static let tokenSubprotocol = "carillon.token."

    /// The subprotocols the browser offers, in order.
    package var subprotocols: [String] {
        self.head.fields.values("Sec-WebSocket-Protocol")
            .flatMap { $0.split(separator: ",") }
            .map { String($0.trimmingSpaces()) }
    }

    /// The credentials among the subprotocols, percent-decoded.
    package var tokenInSubprotocols: String? {
        self.subprotocols.first { $0.hasPrefix(Self.tokenSubprotocol) }
            .flatMap { try? PercentEncoding.decode($0.dropFirst(Self.tokenSubprotocol.count)) }
    }

    /// The subprotocol to answer with when credentials came as one: browsers fail a connection that offered some and got
    /// none. Another one that was offered is better than the credentials. `nil` when no credentials were among them.
    package var subprotocolForToken: String? {
        let offered = self.subprotocols
        guard let token = offered.first(where: { $0.hasPrefix(Self.tokenSubprotocol) }) else { return nil }
        return offered.first { !$0.hasPrefix(Self.tokenSubprotocol) } ?? token
    }
}

extension Handshake {
    /// Lets only a browser on this host pass.
    ///
    /// A loopback address is not enough. A proxy on this host has one too, whoever is behind it: its forwarding headers
    /// give it away, also when it is not trusted. And a stranger's page has one whose name was made to point to this
    /// host after it was loaded ("DNS rebinding"): its `Host` is not a name of this host.
    ///
    /// - Throws: `notLoopback`.
    package func checkIsLocal() throws(Refusal) {
        let advice = "; write a route with \"authenticate\" for others"
        guard self.client.isLoopback else { throw Refusal(.notLoopback, "\(self.client) is not on this host\(advice)") }
        if let header = self.client.untrustedForwarding(self.head.fields) {
            throw Refusal(
                .notLoopback, "\(header) comes from a proxy that is not trusted (gateway.trusted_proxies)\(advice)")
        }
        let host = self.requestedHost.flatMap { HostAndPort($0) }?.host ?? ""
        let address = host.hasPrefix("[") ? IPAddress(host.dropFirst().dropLast()) : IPAddress(host)
        guard address?.isLoopback ?? (host == "localhost" || host.hasSuffix(".localhost")) else {
            throw Refusal(.notLoopback, "the host \"\(host)\" is not \"localhost\" or a loopback address\(advice)")
        }
    }
}

extension TemplateValues {
    package init(_ handshake: Handshake, identity: Identity, anonymousUser: String? = nil) {
        self.init(
            captures: handshake.captures, query: handshake.queryItem, identity: identity, anonymousUser: anonymousUser)
    }
}
