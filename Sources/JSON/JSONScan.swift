/// The smallest parts of JSON, on bytes: what `JSONReader` is made of.
enum JSONScan {
    enum NumberShape { case integer, fraction }
    enum StringShape { case plain, escaped }

    @inline(__always)
    static func skipSpace(_ bytes: UnsafeRawBufferPointer, at offset: inout Int) {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x09, 0x0A, 0x0D: offset &+= 1
            default: return
            }
        }
    }

    /// Passes over a number (RFC 8259 section 6); `nil`, with `offset` at the fault, when it is none.
    static func number(_ bytes: UnsafeRawBufferPointer, at offset: inout Int) -> NumberShape? {
        var index = offset
        defer { offset = index }
        if index < bytes.count, bytes[index] == UInt8(ascii: "-") { index &+= 1 }
        let first = index
        index = Self.digits(bytes, from: index)
        guard index > first else { return nil }
        if bytes[first] == UInt8(ascii: "0"), index &- first > 1 {
            index = first &+ 1
            return nil
        }
        var shape = NumberShape.integer
        if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
            shape = .fraction
            let first = index &+ 1
            index = Self.digits(bytes, from: first)
            guard index > first else { return nil }
        }
        if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") {
            shape = .fraction
            index &+= 1
            if index < bytes.count, bytes[index] == UInt8(ascii: "+") || bytes[index] == UInt8(ascii: "-") {
                index &+= 1
            }
            let first = index
            index = Self.digits(bytes, from: first)
            guard index > first else { return nil }
        }
        return shape
    }

    /// The end of the run of digits at `start`.
    @inline(__always)
    private static func digits(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var index = start
        while index < bytes.count, bytes[index] &- 0x30 < 10 { index &+= 1 }
        return index
    }

    /// Passes over a string, quotation marks and all: no control characters, known escapes, whole surrogate pairs,
    /// valid UTF-8.
    static func string(_ bytes: UnsafeRawBufferPointer, at offset: inout Int) throws(JSONError) -> StringShape {
        var index = offset &+ 1
        var shape = StringShape.plain
        while true {
            // Eight plain characters at a time.
            while index &+ 8 <= bytes.count,
                Self.arePlain(bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            {
                index &+= 8
            }
            guard index < bytes.count else { break }
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "\""):
                offset = index &+ 1
                return shape
            case UInt8(ascii: "\\"):
                shape = .escaped
                index = try Self.escape(bytes, at: index)
            case 0x20...0x7F: index &+= 1
            case 0x80...: index = try Self.character(bytes, at: index)
            default: throw JSONError("control character in a string", at: index)
            }
        }
        throw JSONError("string does not end", at: offset)
    }

    /// None of the eight is a quotation mark, a backslash, a control character or above 0x7F.
    @inline(__always)
    private static func arePlain(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        let quote = word ^ (ones &* 0x22)
        let backslash = word ^ (ones &* 0x5C)
        let found =
            (quote &- ones) & ~quote | (backslash &- ones) & ~backslash | (word &- ones &* 0x20) & ~word | word
        return found & tops == 0
    }

    /// Passes over what a writer copies as it is: no quotation mark, no backslash, no control character, nothing above
    /// `highest`.
    static func skipPlain(_ bytes: UnsafeRawBufferPointer, at offset: inout Int, upTo highest: UInt8) {
        while true {
            while offset &+ 8 <= bytes.count,
                Self.arePlain(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            {
                offset &+= 8
            }
            guard offset < bytes.count else { return }
            let byte = bytes[offset]
            guard byte >= 0x20, byte <= highest, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else { return }
            offset &+= 1
        }
    }

    /// Passes over one escape. A high surrogate must be followed by a low one.
    private static func escape(_ bytes: UnsafeRawBufferPointer, at start: Int) throws(JSONError) -> Int {
        guard start &+ 1 < bytes.count else { throw JSONError("string does not end", at: start) }
        switch bytes[start &+ 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return start &+ 2
        case UInt8(ascii: "u"):
            guard let unit = Self.hex(bytes, at: start &+ 2) else { throw JSONError("bad \\u escape", at: start) }
            switch unit {
            case 0xD800...0xDBFF:
                guard start &+ 7 < bytes.count, bytes[start &+ 6] == UInt8(ascii: "\\"),
                    bytes[start &+ 7] == UInt8(ascii: "u"), let low = Self.hex(bytes, at: start &+ 8),
                    (0xDC00...0xDFFF).contains(low)
                else { throw JSONError("half of a surrogate pair", at: start) }
                return start &+ 12
            case 0xDC00...0xDFFF: throw JSONError("half of a surrogate pair", at: start)
            default: return start &+ 6
            }
        default: throw JSONError("unknown escape", at: start)
        }
    }

    private static func hex(_ bytes: UnsafeRawBufferPointer, at start: Int) -> UInt32? {
        guard start &+ 4 <= bytes.count else { return nil }
        var value: UInt32 = 0
        for index in start..<(start &+ 4) {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte &- UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(byte &- UInt8(ascii: "a") &+ 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte &- UInt8(ascii: "A") &+ 10)
            default: return nil
            }
        }
        return value
    }

    /// Passes over one character of two to four bytes (RFC 3629).
    private static func character(_ bytes: UnsafeRawBufferPointer, at start: Int) throws(JSONError) -> Int {
        func continuation(_ index: Int, _ low: UInt8 = 0x80, _ high: UInt8 = 0xBF) -> Bool {
            index < bytes.count && bytes[index] >= low && bytes[index] <= high
        }
        let length: Int
        switch bytes[start] {
        case 0xC2...0xDF: length = continuation(start &+ 1) ? 2 : 0
        case 0xE0: length = continuation(start &+ 1, 0xA0) && continuation(start &+ 2) ? 3 : 0
        case 0xED: length = continuation(start &+ 1, 0x80, 0x9F) && continuation(start &+ 2) ? 3 : 0
        case 0xE1...0xEF: length = continuation(start &+ 1) && continuation(start &+ 2) ? 3 : 0
        case 0xF0:
            length = continuation(start &+ 1, 0x90) && continuation(start &+ 2) && continuation(start &+ 3) ? 4 : 0
        case 0xF1...0xF3:
            length = continuation(start &+ 1) && continuation(start &+ 2) && continuation(start &+ 3) ? 4 : 0
        case 0xF4:
            length =
                continuation(start &+ 1, 0x80, 0x8F) && continuation(start &+ 2) && continuation(start &+ 3) ? 4 : 0
        default: length = 0
        }
        guard length > 0 else { throw JSONError("not UTF-8", at: start) }
        return start &+ length
    }

    /// The text that a checked string's inside says.
    static func unescape(_ inside: UnsafeRawBufferPointer) -> String {
        String(unsafeUninitializedCapacity: inside.count) { room in
            Self.unescape(inside, into: UnsafeMutableRawBufferPointer(room))
        }
    }

    /// Writes what a checked string's inside says to `room`, which is at least as large.
    ///
    /// - Returns: bytes written: never more than `inside` has, because the shortest escape of a character of n bytes is
    ///   longer than n.
    static func unescape(_ inside: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer) -> Int {
        var index = 0
        var written = 0
        while index < inside.count {
            let byte = inside[index]
            guard byte == UInt8(ascii: "\\"), index &+ 1 < inside.count else {
                room[written] = byte
                written &+= 1
                index &+= 1
                continue
            }
            let letter = inside[index &+ 1]
            index &+= 2
            guard letter == UInt8(ascii: "u") else {
                room[written] = Self.meaning(of: letter)
                written &+= 1
                continue
            }
            var value = Self.hex(inside, at: index) ?? 0xFFFD
            index &+= 4
            if (0xD800...0xDBFF).contains(value), let low = Self.hex(inside, at: index &+ 2) {
                value = 0x10000 &+ (value &- 0xD800) << 10 &+ (low &- 0xDC00)
                index &+= 6
            }
            for unit in UTF8.encode(Unicode.Scalar(value) ?? "\u{FFFD}") ?? UTF8.encodedReplacementCharacter {
                room[written] = unit
                written &+= 1
            }
        }
        return written
    }

    private static func meaning(of letter: UInt8) -> UInt8 {
        switch letter {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: letter
        }
    }
}
