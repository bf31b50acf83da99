/// The origin of a page (RFC 6454): `https://example.org:8443`.
struct WebOrigin: Hashable, Sendable {
    let scheme: String
    let authority: HostAndPort

    /// `nil` for `null` (a sandboxed frame, a local file) and for what is no origin.
    init?(_ text: some StringProtocol) {
        guard let (scheme, rest) = Self.split(text), let authority = HostAndPort(rest) else { return nil }
        self.scheme = scheme
        self.authority = authority
    }

    /// The scheme in lower case, and what follows `://`.
    static func split(_ text: some StringProtocol) -> (scheme: String, rest: String)? {
        let parts = text.lowercased().split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, parts[1].hasPrefix("//") else { return nil }
        return (String(parts[0]), String(parts[1].dropFirst(2)))
    }

    static func defaultPort(of scheme: String) -> UInt16? {
        switch scheme {
        case "http", "ws": 80
        case "https", "wss": 443
        default: nil
        }
    }

    var port: UInt16? { self.authority.port ?? Self.defaultPort(of: self.scheme) }
}

/// `example.org`, `example.org:8080` or `[2001:db8::1]:8080`, in lower case.
struct HostAndPort: Hashable, Sendable {
    let host: String
    let port: UInt16?

    init?(_ text: some StringProtocol) {
        let text = text.lowercased()
        guard !text.isEmpty,
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "@") })
        else { return nil }
        // The colon after the last bracket; within brackets they belong to the address.
        let end = text.lastIndex(of: "]").map { text.index(after: $0) } ?? text.startIndex
        guard let colon = text[end...].firstIndex(of: ":") else {
            self.host = text
            self.port = nil
            return
        }
        let digits = text[text.index(after: colon)...]
        guard colon != text.startIndex, (1...5).contains(digits.utf8.count),
            digits.utf8.allSatisfy({ (48...57).contains($0) }), let port = UInt16(digits)
        else { return nil }
        self.host = String(text[..<colon])
        self.port = port
    }
}
