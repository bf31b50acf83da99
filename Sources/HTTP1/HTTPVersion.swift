/// The versions that are spoken; everything else is refused with 505.
public enum HTTPVersion: Sendable, Hashable {
    case http10, http11

    /// Reads `HTTP/1.1` or `HTTP/1.0` (RFC 9112 section 2.3: upper case, one digit on either side of the dot).
    ///
    /// - Parameters:
    ///   - start: where it begins.
    ///   - end: where the bytes that have come end.
    /// - Returns: `nil` while it has not all come, and the part that has is right.
    static func read(
        _ base: UnsafeRawPointer, from start: Int, to end: Int, code: HTTP1Error.Code
    ) throws(HTTP1Error) -> HTTPVersion? {
        if start &+ 8 <= end {
            let word = UInt64(littleEndian: (base + start).loadUnaligned(as: UInt64.self))
            if word == 0x312E_312F_5054_5448 { return .http11 }
            if word == 0x302E_312F_5054_5448 { return .http10 }
        }
        let name: StaticString = "HTTP/0.0"
        for offset in 0..<min(8, max(0, end &- start)) {
            let byte = base.load(fromByteOffset: start &+ offset, as: UInt8.self)
            let wanted = name.utf8Start[offset]
            guard byte == wanted || wanted == 0x30 && FieldBytes.isDigit(byte) else {
                throw HTTP1Error(code, "The version is not HTTP/1.1 or HTTP/1.0.")
            }
        }
        guard start &+ 8 <= end else { return nil }
        throw HTTP1Error(.unsupportedVersion, status: 505, "Spoken are HTTP/1.1 and HTTP/1.0.")
    }
}
