/// Where a request comes from, after the proxies that are trusted have been looked through.
package struct ClientAddress: Hashable, Sendable {
    /// `nil` when it is a process on this host (a Unix socket) that no proxy header places elsewhere.
    package let address: IPAddress?
    /// Whether the request came through a proxy that is trusted, so that its other headers count too.
    package let isFromTrustedProxy: Bool

    package init(address: IPAddress?, isFromTrustedProxy: Bool = false) {
        self.address = address
        self.isFromTrustedProxy = isFromTrustedProxy
    }

    /// The client of a request.
    ///
    /// `X-Forwarded-For` is read from its end, where the nearest proxy wrote: addresses of trusted proxies are skipped,
    /// and the first other one is the client; what stands left of it was written by a stranger. `X-Real-IP` counts
    /// when there is no `X-Forwarded-For`. An entry that is no address ends the walk at the proxy that passed it on.
    ///
    /// - Parameters:
    ///   - forwardedFor: all values of `X-Forwarded-For`, in the order of the head.
    ///   - realIP: the value of `X-Real-IP`.
    package init(peer: Peer, forwardedFor: [String], realIP: String?, trusted: TrustedProxies) {
        let direct: IPAddress? = if case .ip(let address) = peer { address } else { nil }
        guard trusted.trusts(peer) else {
            self.init(address: direct)
            return
        }
        var client = direct
        var hops = forwardedFor.flatMap { $0.split(separator: ",", omittingEmptySubsequences: true) }
        if hops.isEmpty, let realIP { hops = [realIP[...]] }
        for hop in hops.reversed() {
            guard let address = Self.address(ofHop: hop) else { break }
            client = address
            guard trusted.trusts(address) else { break }
        }
        self.init(address: client, isFromTrustedProxy: true)
    }

    /// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711`, with white space around.
    private static func address(ofHop hop: Substring) -> IPAddress? {
        let text = hop.trimmingSpaces()
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            return IPAddress(text[text.index(after: text.startIndex)..<end])
        }
        if let colon = text.firstIndex(of: ":"), text[colon...].dropFirst().contains(":") == false {
            return IPAddress(text[..<colon])
        }
        return IPAddress(text)
    }

    /// Whether the client is on this host: its address is a loopback address, or there is none.
    package var isLoopback: Bool { self.address?.isLoopback ?? true }

    /// The field by which a proxy that is not trusted gives itself away; `nil` when there is none.
    package func untrustedForwarding(_ fields: HeaderFields) -> String? {
        guard !self.isFromTrustedProxy else { return nil }
        return ["X-Forwarded-For", "X-Real-IP", "Forwarded"].first(where: fields.contains)
    }

    /// Whether the person who asks sits on this host, and not behind a proxy on it.
    ///
    /// - Parameter fields: `nil` when there was no head that could be read.
    package func isOnThisHost(_ fields: HeaderFields?) -> Bool {
        self.isLoopback && fields.flatMap { self.untrustedForwarding($0) } == nil
    }
}

extension ClientAddress: CustomStringConvertible {
    /// The address, or `unix:`.
    package var description: String { self.address?.description ?? "unix:" }
}

extension Substring {
    /// Without spaces and tabs at both ends.
    package func trimmingSpaces() -> Substring {
        var text = self
        while let first = text.utf8.first, first == 0x20 || first == 0x09 { text = text.dropFirst() }
        while let last = text.utf8.last, last == 0x20 || last == 0x09 { text = text.dropLast() }
        return text
    }
}
