/// In which of a cluster's 16384 slots a name is.
enum RedisSlot {
    static let count = 16_384

    /// CRC-16 (XMODEM) of the name, or of what stands in its first braces, when that is something.
    static func of(_ name: String) -> Int {
        let bytes = Array(name.utf8)
        var key = bytes[...]
        if let open = bytes.firstIndex(of: UInt8(ascii: "{")),
            let close = bytes[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
        {
            key = bytes[(open + 1)..<close]
        }
        return Int(Self.crc16(key)) % Self.count
    }

    private static func crc16(_ bytes: some Sequence<UInt8>) -> UInt16 {
        var remainder: UInt16 = 0
        for byte in bytes { remainder = remainder << 8 ^ Self.table[Int(UInt8(remainder >> 8) ^ byte)] }
        return remainder
    }

    private static let table: [UInt16] = (0..<256).map { index in
        (0..<8).reduce(UInt16(index) << 8) { value, _ in value & 0x8000 != 0 ? value << 1 ^ 0x1021 : value << 1 }
    }
}
