/// Where an upstream server listens.
package enum UpstreamAddress: Hashable, Sendable, CustomStringConvertible {
    /// `host` is a name or an address; an IPv6 address stands without brackets. `port` is 1 to 65535.
    case tcp(host: String, port: Int)
    /// The absolute path of a Unix stream socket, at most 107 bytes.
    case unix(path: String)

    /// What a setting wants to hear.
    package static let wanted = "\"http://HOST:PORT\" or \"unix:///PATH\""

    /// Reads `http://HOST:PORT` (port 80 when absent, IPv6 addresses in brackets) or `unix:///PATH`.
    ///
    /// - Throws: an error whose description says what was wanted.
    package init(parsing text: String) throws(UpstreamAddressError) {
        if text.hasPrefix("unix:") {
            self = .unix(path: try Self.parsePath(text))
        } else if text.hasPrefix("http://") {
            self = try Self.parseAuthority(text)
        } else if text.hasPrefix("https://") {
            throw UpstreamAddressError(text: text, problem: "https upstreams are not supported; use http:// or unix://")
        } else {
            throw UpstreamAddressError(text: text, problem: "no scheme")
        }
    }

    private static func parsePath(_ text: String) throws(UpstreamAddressError) -> String {
        let rest = text.dropFirst("unix:".count)
        let path = rest.hasPrefix("//") ? rest.dropFirst(2) : rest
        guard path.hasPrefix("/"), path.utf8.count > 1 else {
            throw UpstreamAddressError(text: text, problem: "the socket's path is not absolute")
        }
        guard path.utf8.count <= 107, !path.utf8.contains(0) else {
            throw UpstreamAddressError(text: text, problem: "a socket's path has at most 107 bytes")
        }
        return String(path)
    }

    private static func parseAuthority(_ text: String) throws(UpstreamAddressError) -> UpstreamAddress {
        var authority = text.dropFirst("http://".count)
        if authority.hasSuffix("/") { authority = authority.dropLast() }
        guard !authority.contains(where: { "/?#@".contains($0) || $0.isWhitespace }) else {
            throw UpstreamAddressError(text: text, problem: "a path, query or user name has no meaning here")
        }
        let host: Substring
        let rest: Substring
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else {
                throw UpstreamAddressError(text: text, problem: "the bracket of the IPv6 address is not closed")
            }
            host = authority[authority.index(after: authority.startIndex)..<end]
            rest = authority[authority.index(after: end)...]
        } else {
            let colon = authority.firstIndex(of: ":") ?? authority.endIndex
            host = authority[..<colon]
            rest = authority[colon...]
        }
        guard !host.isEmpty else { throw UpstreamAddressError(text: text, problem: "no host") }
        return .tcp(host: String(host), port: try Self.parsePort(rest, text))
    }

    private static func parsePort(_ rest: Substring, _ text: String) throws(UpstreamAddressError) -> Int {
        guard !rest.isEmpty else { return 80 }
        guard rest.hasPrefix(":"), rest.dropFirst().utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
            let port = Int(rest.dropFirst()), (1...65_535).contains(port)
        else { throw UpstreamAddressError(text: text, problem: "the port is a number from 1 to 65535") }
        return port
    }

    /// The form it is read from.
    package var description: String {
        switch self {
        case .tcp(let host, let port): "http://\(self.bracketed(host)):\(port)"
        case .unix(let path): "unix://\(path)"
        }
    }

    /// The `Host` field of a request that comes without one.
    package var hostField: String {
        switch self {
        case .tcp(let host, 80): self.bracketed(host)
        case .tcp(let host, let port): "\(self.bracketed(host)):\(port)"
        case .unix: "localhost"
        }
    }

    private func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }
}

/// A text that is no upstream address.
package struct UpstreamAddressError: Error, Equatable, CustomStringConvertible, Sendable {
    package var text: String
    package var problem: String

    package init(text: String, problem: String) {
        self.text = text
        self.problem = problem
    }

    package var description: String {
        "\"\(self.text)\" is no address (\(self.problem)): wanted \(UpstreamAddress.wanted)"
    }
}
