import NIOCore

extension ByteBuffer {
    /// Writes an unsigned number of Protobuf: seven bits to the byte, the lowest first.
    mutating func writeVarint(_ value: UInt64) {
        var rest = value
        while rest > 0x7F {
            self.writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        self.writeInteger(UInt8(truncatingIfNeeded: rest))
    }

    /// Reads one; `nil` when there is no whole one, or it is more than 32 bits.
    mutating func readVarint() -> UInt32? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 35, by: 7) {
            guard let byte = self.readInteger(as: UInt8.self) else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return UInt32(exactly: value) }
        }
        return nil
    }

    /// How many bytes `writeVarint` writes.
    fileprivate static func varintLength(_ value: Int) -> Int {
        max(1, (Int.bitWidth - value.leadingZeroBitCount + 6) / 7)
    }

    fileprivate static func fieldLength(_ bytes: Int) -> Int { 1 + Self.varintLength(bytes) + bytes }

    /// The tag of a field of bytes (numbers below 16 only), and their length.
    fileprivate mutating func writeField(_ number: UInt8, length: Int) {
        self.writeInteger(number << 3 | 2)
        self.writeVarint(UInt64(length))
    }

    /// Writes the push of a publication, behind its length: the one message that is written for everything that is
    /// published, and so without the copies of its data that the generated code would make.
    ///
    /// - Parameters:
    ///   - rest: the fields of the publication beside its data, as the generated code writes them.
    ///   - isBare: by itself, and not in a reply.
    mutating func writePublication(
        _ data: ByteBuffer, rest: [UInt8], channel: String, number: Int64, isBare: Bool
    ) {
        let dataLength = data.readableBytes > 0 ? Self.fieldLength(data.readableBytes) : 0
        let publication = dataLength + rest.count
        let name = number == 0 ? Self.fieldLength(channel.utf8.count) : 1 + Self.varintLength(Int(clamping: number))
        let push = name + Self.fieldLength(publication)
        let whole = isBare ? push : Self.fieldLength(push)
        self.reserveCapacity(minimumWritableBytes: whole + 10)
        self.writeVarint(UInt64(whole))
        if !isBare { self.writeField(4, length: push) }
        if number == 0 {
            self.writeField(2, length: channel.utf8.count)
            self.writeString(channel)
        } else {
            self.writeInteger(UInt8(1 << 3))
            self.writeVarint(UInt64(clamping: number))
        }
        self.writeField(4, length: publication)
        if dataLength > 0 {
            self.writeField(4, length: data.readableBytes)
            self.writeImmutableBuffer(data)
        }
        self.writeBytes(rest)
    }
}
