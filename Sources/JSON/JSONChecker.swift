/// Checks a JSON text without making anything of it. What is open is kept in the bits of one word.
enum JSONChecker {
    private enum Next { case value, firstElement, key, firstKey, afterValue }

    /// - Parameter depth: at most 64.
    /// - Returns: where the value stands, without the white space around it.
    static func check(_ bytes: UnsafeRawBufferPointer, depth: Int) throws(JSONError) -> Range<Int> {
        var offset = 0
        /// Bit 0 is the innermost open container: 1 for an object.
        var open: UInt64 = 0
        var level = 0
        var next = Next.value
        JSONScan.skipSpace(bytes, at: &offset)
        let start = offset
        while true {
            JSONScan.skipSpace(bytes, at: &offset)
            guard offset < bytes.count else { throw JSONError("the text ends too early", at: offset) }
            let byte = bytes[offset]
            switch (next, byte) {
            case (.firstKey, UInt8(ascii: "}")), (.firstElement, UInt8(ascii: "]")),
                (.afterValue, UInt8(ascii: "}")) where open & 1 == 1,
                (.afterValue, UInt8(ascii: "]")) where open & 1 == 0:
                offset &+= 1
                open >>= 1
                level &-= 1
                next = .afterValue
            case (.afterValue, UInt8(ascii: ",")):
                offset &+= 1
                next = open & 1 == 1 ? .key : .value
                continue
            case (.key, UInt8(ascii: "\"")), (.firstKey, UInt8(ascii: "\"")):
                _ = try JSONScan.string(bytes, at: &offset)
                JSONScan.skipSpace(bytes, at: &offset)
                guard offset < bytes.count, bytes[offset] == UInt8(ascii: ":") else {
                    throw JSONError("expected : after the key", at: offset)
                }
                offset &+= 1
                next = .value
                continue
            case (.value, _), (.firstElement, _):
                if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
                    guard level < depth else { throw JSONError("nested deeper than \(depth)", at: offset) }
                    let isObject = byte == UInt8(ascii: "{")
                    open = open << 1 | (isObject ? 1 : 0)
                    level &+= 1
                    offset &+= 1
                    next = isObject ? .firstKey : .firstElement
                    continue
                }
                try Self.scalar(bytes, at: &offset)
                next = .afterValue
            case (.key, _), (.firstKey, _): throw JSONError("expected a key in quotation marks", at: offset)
            case (.afterValue, _):
                throw JSONError(open & 1 == 1 ? "expected , or }" : "expected , or ]", at: offset)
            }
            guard level == 0 else { continue }
            let end = offset
            JSONScan.skipSpace(bytes, at: &offset)
            guard offset == bytes.count else { throw JSONError("found more after the end of the value", at: offset) }
            return start..<end
        }
    }

    private static func scalar(_ bytes: UnsafeRawBufferPointer, at offset: inout Int) throws(JSONError) {
        switch bytes[offset] {
        case UInt8(ascii: "\""): _ = try JSONScan.string(bytes, at: &offset)
        case UInt8(ascii: "t"): try Self.word("true", bytes, at: &offset)
        case UInt8(ascii: "f"): try Self.word("false", bytes, at: &offset)
        case UInt8(ascii: "n"): try Self.word("null", bytes, at: &offset)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            guard JSONScan.number(bytes, at: &offset) != nil else { throw JSONError("expected a digit", at: offset) }
        default: throw JSONError("expected a value", at: offset)
        }
    }

    private static func word(
        _ word: StaticString, _ bytes: UnsafeRawBufferPointer, at offset: inout Int
    ) throws(JSONError) {
        for index in 0..<word.utf8CodeUnitCount {
            guard offset &+ index < bytes.count, bytes[offset &+ index] == word.utf8Start[index] else {
                throw JSONError("expected \(word)", at: offset)
            }
        }
        offset &+= word.utf8CodeUnitCount
    }
}
