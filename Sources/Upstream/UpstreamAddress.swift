/// Where an upstream server listens.
package enum UpstreamAddress: Hashable, Sendable, CustomStringConvertible {
    /// `host` is a name or an address; an IPv6 address stands without brackets. `port` is 1 to 65535.
    case tcp(host: String, port: Int)
    /// The absolute path of a Unix stream socket, at most 107 bytes.
    case unix(path: String)
    /// As `tcp`, with TLS.
    case tls(host: String, port: Int)
    /// FastCGI applications.
    case fastCGI(host: String, port: Int)
    case fastCGIUnix(path: String)

    /// What a setting wants to hear.
    package static let wanted =
        "\"http://HOST:PORT\", \"https://HOST:PORT\", \"unix:///PATH\", \"fastcgi://HOST:PORT\" or \"fastcgi+unix:///PATH\""

    /// Reads `http://HOST:PORT` (port 80 when absent, IPv6 addresses in brackets), `https://HOST:PORT` (443),
    /// `unix:///PATH`, `fastcgi://HOST:PORT` (no port of its own) or `fastcgi+unix:///PATH`.
    ///
    /// - Throws: an error whose description says what was wanted.
    package init(parsing text: String) throws(UpstreamAddressError) {
        if text.hasPrefix("unix:") {
            self = .unix(path: try Self.parsePath(text, after: "unix:"))
        } else if text.hasPrefix("http://") {
            let (host, port) = try Self.parseAuthority(text, after: "http://", port: 80)
            self = .tcp(host: host, port: port)
        } else if text.hasPrefix("https://") {
            let (host, port) = try Self.parseAuthority(text, after: "https://", port: 443)
            self = .tls(host: host, port: port)
        } else if text.hasPrefix("fastcgi+unix:") {
            self = .fastCGIUnix(path: try Self.parsePath(text, after: "fastcgi+unix:"))
        } else if text.hasPrefix("fastcgi://") {
            let (host, port) = try Self.parseAuthority(text, after: "fastcgi://", port: nil)
            self = .fastCGI(host: host, port: port)
        } else {
            throw UpstreamAddressError(text: text, problem: "no scheme")
        }
    }

    private static func parsePath(_ text: String, after scheme: String) throws(UpstreamAddressError) -> String {
        let rest = text.dropFirst(scheme.count)
        let path = rest.hasPrefix("//") ? rest.dropFirst(2) : rest
        guard path.hasPrefix("/"), path.utf8.count > 1 else {
            throw UpstreamAddressError(text: text, problem: "the socket's path is not absolute")
        }
        guard path.utf8.count <= 107, !path.utf8.contains(0) else {
            throw UpstreamAddressError(text: text, problem: "a socket's path has at most 107 bytes")
        }
        return String(path)
    }

    /// - Parameter port: where there is none in `text`; `nil` when there must be one.
    private static func parseAuthority(
        _ text: String, after scheme: String, port: Int?
    ) throws(UpstreamAddressError) -> (host: String, port: Int) {
        var authority = text.dropFirst(scheme.count)
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
        return (String(host), try Self.parsePort(rest, text, standard: port))
    }

    private static func parsePort(
        _ rest: Substring, _ text: String, standard: Int?
    ) throws(UpstreamAddressError) -> Int {
        if rest.isEmpty, let standard { return standard }
        guard rest.hasPrefix(":"), rest.dropFirst().utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
            let port = Int(rest.dropFirst()), (1...65_535).contains(port)
        else { throw UpstreamAddressError(text: text, problem: "the port is a number from 1 to 65535") }
        return port
    }

    /// The form it is read from.
    package var description: String {
        switch self {
        case .tcp(let host, let port): "http://\(self.bracketed(host)):\(port)"
        case .tls(let host, let port): "https://\(self.bracketed(host)):\(port)"
        case .unix(let path): "unix://\(path)"
        case .fastCGI(let host, let port): "fastcgi://\(self.bracketed(host)):\(port)"
        case .fastCGIUnix(let path): "fastcgi+unix://\(path)"
        }
    }

    package var isFastCGI: Bool {
        switch self {
        case .fastCGI, .fastCGIUnix: true
        default: false
        }
    }

    /// The `Host` field of a request that comes without one.
    package var hostField: String {
        switch self {
        case .tcp(let host, 80), .tls(let host, 443): self.bracketed(host)
        case .tcp(let host, let port), .tls(let host, let port), .fastCGI(let host, let port):
            "\(self.bracketed(host)):\(port)"
        case .unix, .fastCGIUnix: "localhost"
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
