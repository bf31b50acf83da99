package import NIOCore

/// An IPv4 or IPv6 address. An IPv4 address and its mapped form (`::ffff:192.0.2.1`) are the same value, so that a
/// dual-stack listener and a header that names the short form agree.
package struct IPAddress: Hashable, Sendable {
    /// The first 64 bits of the 128 (IPv4 is kept in its mapped form).
    package let high: UInt64
    /// The last 64 bits.
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    private static let mappedPrefix: UInt64 = 0x0000_ffff_0000_0000

    package init(v4: UInt32) {
        self.init(high: 0, low: Self.mappedPrefix | UInt64(v4))
    }

    /// The address of a socket; `nil` for a Unix socket.
    package init?(_ address: SocketAddress) {
        switch address {
        case .v4(let v4):
            self.init(v4: UInt32(bigEndian: v4.address.sin_addr.s_addr))
        case .v6(let v6):
            let (high, low) = withUnsafeBytes(of: v6.address.sin6_addr) { bytes in
                (
                    UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                    UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                )
            }
            self.init(high: high, low: low)
        case .unixDomainSocket:
            return nil
        }
    }

    package var isV4: Bool { self.high == 0 && self.low & 0xffff_ffff_0000_0000 == Self.mappedPrefix }

    /// `127.0.0.0/8` or `::1`.
    package var isLoopback: Bool {
        if self.isV4 { return (self.low & 0xff00_0000) == 0x7f00_0000 }
        return self.high == 0 && self.low == 1
    }

    /// Whom limits count: an IPv4 address itself, of an IPv6 address its /64, because a single customer has at least
    /// that many addresses.
    package var limitKey: IPAddress {
        self.isV4 ? self : IPAddress(high: self.high, low: 0)
    }
}

// MARK: - Text

extension IPAddress {
    /// Reads `192.0.2.1`, `2001:db8::1` or `::ffff:192.0.2.1` (RFC 4291 §2.2). No brackets, port, zone or leading
    /// zeros in IPv4 numbers (`010` is eight to some readers and ten to others).
    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        // The longest form, six groups and an IPv4 tail, has 45 characters.
        guard (2...45).contains(bytes.count) else { return nil }
        if bytes.contains(UInt8(ascii: ":")) {
            self.init(v6: bytes[...])
        } else {
            guard let v4 = Self.parseV4(bytes[...]) else { return nil }
            self.init(v4: v4)
        }
    }

    private init?(v6 text: ArraySlice<UInt8>) {
        var groups: [UInt16] = []
        var gap: Int?
        var rest = text
        if rest.starts(with: [UInt8(ascii: ":")]) {
            guard rest.starts(with: [UInt8(ascii: ":"), UInt8(ascii: ":")]) else { return nil }
            gap = 0
            rest = rest.dropFirst(2)
        }
        while !rest.isEmpty {
            guard groups.count < 8 else { return nil }
            let end = rest.firstIndex(of: UInt8(ascii: ":")) ?? rest.endIndex
            let part = rest[rest.startIndex..<end]
            if end == rest.endIndex, part.contains(UInt8(ascii: ".")) {
                guard groups.count <= 6, let v4 = Self.parseV4(part) else { return nil }
                groups.append(UInt16(truncatingIfNeeded: v4 >> 16))
                groups.append(UInt16(truncatingIfNeeded: v4))
                break
            }
            guard let group = Self.parseGroup(part) else { return nil }
            groups.append(group)
            guard end != rest.endIndex else { break }
            rest = rest[(end + 1)...]
            guard let next = rest.first else { return nil }  // a single colon at the end
            if next == UInt8(ascii: ":") {
                guard gap == nil else { return nil }
                gap = groups.count
                rest = rest.dropFirst()
            }
        }
        if let gap {
            guard groups.count <= 7 else { return nil }
            groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap)
        }
        guard groups.count == 8 else { return nil }
        self.init(
            high: groups[..<4].reduce(0) { $0 << 16 | UInt64($1) },
            low: groups[4...].reduce(0) { $0 << 16 | UInt64($1) })
    }

    private static func parseGroup(_ text: ArraySlice<UInt8>) -> UInt16? {
        guard (1...4).contains(text.count) else { return nil }
        var value: UInt16 = 0
        for byte in text {
            guard let digit = hexadecimalDigit(byte) else { return nil }
            value = value << 4 | UInt16(digit)
        }
        return value
    }

    private static func parseV4(_ text: ArraySlice<UInt8>) -> UInt32? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var address: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            var number: UInt32 = 0
            for byte in part {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                number = number * 10 + UInt32(byte - UInt8(ascii: "0"))
            }
            guard number <= 255 else { return nil }
            address = address << 8 | number
        }
        return address
    }
}

/// The value of `0-9 a-f A-F`, or `nil`.
package func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}

extension IPAddress: CustomStringConvertible {
    /// The dotted form, or the canonical form of RFC 5952.
    package var description: String {
        if self.isV4 {
            let v4 = UInt32(truncatingIfNeeded: self.low)
            return "\(v4 >> 24).\(v4 >> 16 & 0xff).\(v4 >> 8 & 0xff).\(v4 & 0xff)"
        }
        let groups = (0..<8).map { index -> UInt16 in
            UInt16(truncatingIfNeeded: (index < 4 ? self.high : self.low) >> UInt64(48 - index % 4 * 16))
        }
        guard let zeros = Self.longestZeros(groups) else { return Self.joined(groups[...]) }
        return Self.joined(groups[..<zeros.lowerBound]) + "::" + Self.joined(groups[zeros.upperBound...])
    }

    private static func joined(_ groups: ArraySlice<UInt16>) -> String {
        groups.map { String($0, radix: 16) }.joined(separator: ":")
    }

    /// The first of the longest runs of two or more zero groups.
    private static func longestZeros(_ groups: [UInt16]) -> Range<Int>? {
        var longest = 0..<0
        var start: Int?
        for (index, group) in (groups + [1]).enumerated() {
            if group == 0 {
                start = start ?? index
            } else if let begun = start {
                if index - begun > longest.count { longest = begun..<index }
                start = nil
            }
        }
        return longest.count >= 2 ? longest : nil
    }
}
