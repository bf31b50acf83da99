package import Settings

/// Where browsers connect, and whether they speak TLS there.
package struct RouterListen: Hashable, Sendable, CustomStringConvertible {
    package var address: ListenAddress
    package var isSecure: Bool

    package init(plain address: ListenAddress) {
        self.address = address
        self.isSecure = false
    }

    static let wanted =
        "\"http://HOST:PORT\", \"https://HOST:PORT\", \"unix:///PATH\", \"fd://NUMBER\" or \"https+fd://NUMBER\""

    /// - Throws: what is wrong with `text`.
    package init(_ text: String) throws(SettingMismatch) {
        self.isSecure = text.hasPrefix("https")
        var plain = text
        if text.hasPrefix("https://") {
            plain = "http://" + text.dropFirst("https://".count)
        } else if text.hasPrefix("https+fd://") || text.hasPrefix("https+unix://") {
            plain = String(text.dropFirst("https+".count))
        }
        guard plain.hasPrefix("http://") || plain.hasPrefix("unix://") || plain.hasPrefix("fd://") else {
            throw SettingMismatch(wanted: Self.wanted)
        }
        self.address = try ListenAddress(plain)
    }

    package var description: String {
        guard self.isSecure else { return "\(self.address)" }
        if case .tcp = self.address { return "https" + "\(self.address)".dropFirst("http".count) }
        return "https+\(self.address)"
    }
}

extension SettingKind where Value == RouterListen {
    static var routerListen: SettingKind<RouterListen> {
        SettingKind<String>.string(RouterListen.wanted).converted {
            try RouterListen($0)
        } back: {
            $0.description
        }
    }
}

/// Who may connect to the Unix sockets the router makes.
package struct SocketFile: Sendable, Equatable {
    /// Permission bits; `nil` leaves them to the process' mask.
    package var mode: UInt32?
    /// Names or numbers; `nil` leaves the process' own.
    package var owner: String?
    package var group: String?

    package init(mode: UInt32? = nil, owner: String? = nil, group: String? = nil) {
        self.mode = mode
        self.owner = owner
        self.group = group
    }

    /// `USER`, `USER:GROUP` or `:GROUP`.
    package init?(owner text: String, mode: UInt32?) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard !text.isEmpty, parts.count == 1 || !parts[1].isEmpty else { return nil }
        self.init(mode: mode, owner: parts[0].isEmpty ? nil : parts[0], group: parts.count > 1 ? parts[1] : nil)
    }
}
