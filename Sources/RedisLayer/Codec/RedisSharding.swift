/// On which host something is, as both layers of channels_redis decide it.
package enum RedisSharding {
    /// The 12 low bits of the CRC-32 of a name choose among `hosts` equal parts. The division is of floating point
    /// numbers there, so it is here.
    ///
    /// - Parameter hosts: how many there are, at least 1.
    package static func shard(of name: some StringProtocol, hosts: Int) -> Int {
        guard hosts > 1 else { return 0 }
        let place = Double(Self.crc32(name.utf8) & 0xFFF)
        return min(hosts - 1, Int(place / (4_096 / Double(hosts))))
    }

    /// CRC-32 with zlib's polynomial.
    static func crc32(_ bytes: some Sequence<UInt8>) -> UInt32 {
        var remainder = UInt32.max
        for byte in bytes {
            remainder = Self.table[Int((remainder ^ UInt32(byte)) & 0xFF)] ^ (remainder >> 8)
        }
        return ~remainder
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
    }
}
