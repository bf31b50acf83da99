package import Files

/// What is done with the requests of one host and path.
package final class Route: Sendable {
    package enum Target: Sendable, Equatable {
        /// Asks an upstream of the pool with this number; see `PoolNumber`.
        case pool(Int)
        case files(FileFolder)
        case redirect(Redirect)
    }

    /// Whose requests; `nil` for those of every host.
    package let host: HostPattern?
    /// What the path begins with: all of it for one that ends with `/`, otherwise whole segments. Begins with `/`.
    package let path: String
    package let target: Target
    /// Whether the browser must have proved who it is.
    package let clientCertificate: ClientCertificateRule

    package init(
        host: HostPattern? = nil, path: String, target: Target, clientCertificate: ClientCertificateRule = .optional
    ) {
        self.host = host
        self.path = path
        self.target = target
        self.clientCertificate = clientCertificate
    }

    /// Whether `path`, without a query, is this route's.
    func matches(_ path: Substring.UTF8View) -> Bool {
        guard path.starts(with: self.path.utf8) else { return false }
        guard self.path.utf8.last != UInt8(ascii: "/") else { return true }
        let next = path.dropFirst(self.path.utf8.count).first
        return next == nil || next == UInt8(ascii: "/")
    }

    var usesGateways: Bool { self.target == .pool(PoolNumber.gateways) }
}

/// Pools by number: the two that always are, and after them those of `router.pools`.
package enum PoolNumber {
    package static let workers = 0
    package static let gateways = 1
    package static let firstNamed = 2
}

/// What a route asks of a browser's certificate.
package enum ClientCertificateRule: String, Sendable, CaseIterable {
    /// Who has a valid one is told of to the application; nobody must.
    case optional
    /// Who has none is refused with 403.
    case required
}

/// Whose requests a route is for: one host, or all below a domain. Compared without regard to case and port.
package enum HostPattern: Hashable, Sendable, CustomStringConvertible {
    case host(String)
    /// `*.example.org`: its subdomains, not itself. Kept with its leading dot.
    case below(String)

    /// - Returns: `nil` for anything but a host's name or address, or `*.` and one.
    package init?(_ text: String) {
        let isPattern = text.hasPrefix("*.")
        let name = String(isPattern ? text.dropFirst(2) : text[...]).lowercased()
        let isName = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: "-._[]:".utf8.contains(byte)
            }
        }
        guard isName, (1...253).contains(name.utf8.count), name.utf8.first != UInt8(ascii: ".") else { return nil }
        guard name.utf8.first == UInt8(ascii: "[") || !name.utf8.contains(UInt8(ascii: ":")) else { return nil }
        self = isPattern ? .below("." + name) : .host(name)
    }

    package var description: String {
        switch self {
        case .host(let name): name
        case .below(let name): "*\(name)"
        }
    }

    func matches(_ host: String) -> Bool {
        switch self {
        case .host(let name): host == name
        case .below(let end): host.utf8.count > end.utf8.count && host.hasSuffix(end)
        }
    }

    /// The host of a `Host` field: without port and closing dot, in lower case.
    static func name(of field: String) -> String {
        var host = field[...]
        if host.utf8.first == UInt8(ascii: "[") {
            if let end = host.firstIndex(of: "]") { host = host[...end] }
        } else if let colon = host.utf8.firstIndex(of: UInt8(ascii: ":")) {
            host = host[..<colon]
        }
        if host.utf8.last == UInt8(ascii: "."), host.utf8.count > 1 { host.removeLast() }
        let isLower = host.utf8.allSatisfy { $0 < UInt8(ascii: "A") || $0 > UInt8(ascii: "Z") }
        return isLower ? String(host) : host.lowercased()
    }
}
