package import NIOCore

/// Who is at the other end of a socket.
package enum Peer: Hashable, Sendable {
    case ip(IPAddress)
    /// A process on this host, through a Unix socket.
    case unix

    /// The peer of a connection; a socket that does not say (it was closed) counts as a stranger.
    package init(_ address: SocketAddress?) {
        guard let address else {
            self = .ip(IPAddress(high: 0, low: 0))
            return
        }
        self = IPAddress(address).map(Peer.ip) ?? .unix
    }

    /// The peer of a connection with these ends. A Unix socket's peer has no name as a rule, but its own end has.
    package init(local: SocketAddress?, remote: SocketAddress?) {
        if case .unixDomainSocket? = local { self = .unix } else { self.init(remote) }
    }
}

/// A range of addresses in CIDR notation: `10.0.0.0/8`, `2001:db8::/32`, or one address.
package struct AddressRange: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64
    private let highMask: UInt64
    private let lowMask: UInt64

    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(first) else { return nil }
        var bits = 128
        if parts.count == 2 {
            let widest = address.isV4 && !first.contains(":") ? 32 : 128
            guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (48...57).contains($0) }),
                let prefix = Int(parts[1]), prefix <= widest
            else { return nil }
            bits = prefix + 128 - widest
        }
        self.highMask = Self.mask(bits: min(bits, 64))
        self.lowMask = Self.mask(bits: max(bits - 64, 0))
        self.high = address.high & self.highMask
        self.low = address.low & self.lowMask
    }

    private static func mask(bits: Int) -> UInt64 { bits == 0 ? 0 : ~UInt64(0) << UInt64(64 - bits) }

    package func contains(_ address: IPAddress) -> Bool {
        address.high & self.highMask == self.high && address.low & self.lowMask == self.low
    }
}

/// Whose `X-Forwarded-For`, `X-Real-IP`, `X-Forwarded-Host` and authentication headers are believed. Everybody else's
/// are as good as absent.
package struct TrustedProxies: Hashable, Sendable {
    private let ranges: [AddressRange]
    private let trustsUnixSockets: Bool

    /// Nobody.
    package static let none = TrustedProxies(ranges: [], trustsUnixSockets: false)

    private init(ranges: [AddressRange], trustsUnixSockets: Bool) {
        self.ranges = ranges
        self.trustsUnixSockets = trustsUnixSockets
    }

    /// - Parameter entries: addresses, ranges, and `unix:` for every process that can open the Unix socket.
    /// - Throws: the first entry that is none of these, with what is wanted.
    package init(_ entries: [String]) throws(AddressError) {
        var ranges: [AddressRange] = []
        for entry in entries where entry != "unix:" {
            guard let range = AddressRange(entry) else {
                throw AddressError(
                    "\"\(entry)\" is no address, wanted for example \"127.0.0.1\", \"10.0.0.0/8\", \"::1\" or \"unix:\""
                )
            }
            ranges.append(range)
        }
        self.init(ranges: ranges, trustsUnixSockets: entries.contains("unix:"))
    }

    package func trusts(_ peer: Peer) -> Bool {
        switch peer {
        case .unix: self.trustsUnixSockets
        case .ip(let address): self.trusts(address)
        }
    }

    package func trusts(_ address: IPAddress) -> Bool {
        self.ranges.contains { $0.contains(address) }
    }
}
