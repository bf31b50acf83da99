import NIOCore

/// Makes request identifiers: 32 hexadecimal digits, unique and unguessable in number, not secret.
///
/// One per event loop. A random start, then SplitMix64 over a counter: no system call per request.
struct RequestIDs {
    private let high: UInt64
    private var state: UInt64

    init(seed: UInt64 = .random(in: .min ... .max), start: UInt64 = .random(in: .min ... .max)) {
        self.high = seed
        self.state = start
    }

    mutating func next() -> RequestID {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return RequestID(high: self.high, low: mixed ^ (mixed >> 31))
    }
}

/// A request's name in logs, on error pages and in `X-Request-ID`.
struct RequestID: Equatable, CustomStringConvertible {
    let high: UInt64
    let low: UInt64

    var description: String {
        var buffer = ByteBuffer()
        buffer.write(self)
        return String(buffer: buffer)
    }

    /// Sixteen digits of `number`, most significant first, as the eight bytes of two words.
    fileprivate static func digits(_ number: UInt32) -> UInt64 {
        // One nibble to each byte, then all eight to ASCII at once: '0' + n, and 39 more for a…f.
        var spread = UInt64(number)
        spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff
        spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff
        spread = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f
        let letters = ((spread &+ 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101
        return spread &+ 0x3030_3030_3030_3030 &+ letters &* 39
    }
}

extension ByteBuffer {
    /// Appends the 32 digits of `id`.
    mutating func write(_ id: RequestID) {
        for word in [id.high, id.low] {
            self.writeInteger(RequestID.digits(UInt32(truncatingIfNeeded: word >> 32)))
            self.writeInteger(RequestID.digits(UInt32(truncatingIfNeeded: word)))
        }
    }
}
