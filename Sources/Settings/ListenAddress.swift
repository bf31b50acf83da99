/// Where a process listens.
package enum ListenAddress: Hashable, Sendable, CustomStringConvertible {
    /// Port 0 takes a free one.
    case tcp(host: String, port: Int)
    case unix(path: String)
    /// A socket that listens already: 0 under supervisord's `fcgi-program`, 3 under systemd.
    case descriptor(CInt)

    /// What a setting wants to hear.
    package static let wanted = "\"http://HOST:PORT\", \"unix:///PATH\" or \"fd://NUMBER\""

    /// - Throws: what is wrong with `text`.
    package init(_ text: String) throws(SettingMismatch) {
        if let path = Self.rest(of: text, after: "unix://") {
            // The kernel keeps 108 bytes with a zero at the end; ".handoff" must fit as well.
            guard path.utf8.first == UInt8(ascii: "/"), path.utf8.count <= 99, !path.utf8.contains(0) else {
                throw SettingMismatch(wanted: "\"unix://\" and an absolute path of at most 99 bytes")
            }
            self = .unix(path: path)
        } else if let number = Self.rest(of: text, after: "fd://") {
            guard let number = CInt(number), number >= 0 else { throw SettingMismatch(wanted: Self.wanted) }
            self = .descriptor(number)
        } else if let authority = Self.rest(of: text, after: "http://") {
            self = try Self.tcp(authority)
        } else {
            throw SettingMismatch(wanted: Self.wanted)
        }
    }

    private static func rest(of text: String, after prefix: String) -> String? {
        text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil
    }

    private static func tcp(_ authority: String) throws(SettingMismatch) -> ListenAddress {
        let plain = authority.hasSuffix("/") ? authority.dropLast() : authority[...]
        guard let colon = plain.lastIndex(of: ":"), let port = Int(plain[plain.index(after: colon)...]),
            (0...65_535).contains(port)
        else { throw SettingMismatch(wanted: "a port from 0 to 65535, as in \"http://127.0.0.1:8000\"") }
        var host = plain[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty, !host.contains("/"), !host.contains("@"), !host.contains(where: \.isWhitespace) else {
            throw SettingMismatch(wanted: "a host, as in \"http://127.0.0.1:8000\"")
        }
        return .tcp(host: String(host), port: port)
    }

    /// The address with the port that the system chose for port 0; `nil` leaves it as it is.
    package func bound(toPort port: Int?) -> ListenAddress {
        guard case .tcp(let host, _) = self, let port else { return self }
        return .tcp(host: host, port: port)
    }

    package var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "http://[\(host)]:\(port)" : "http://\(host):\(port)"
        case .unix(let path): "unix://\(path)"
        case .descriptor(let number): "fd://\(number)"
        }
    }
}

extension SettingKind where Value == ListenAddress {
    /// An address to listen on, in one of the three forms.
    package static var listenAddress: SettingKind<ListenAddress> {
        SettingKind<String>.string(ListenAddress.wanted).converted {
            try ListenAddress($0)
        } back: {
            $0.description
        }
    }
}
