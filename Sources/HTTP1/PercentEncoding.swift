/// `%41` and the like (RFC 3986 section 2.1).
public enum PercentEncoding {
    /// Undoes the encoding. A `+` stays a `+`: it means a space in forms only, see `QueryItems`.
    ///
    /// - Throws: `badEncoding`: a percent sign without two hexadecimal digits, bytes that are no UTF-8, or a NUL.
    public static func decode(_ text: some StringProtocol) throws(HTTP1Error) -> String {
        // Most paths have nothing to undo.
        if text.utf8.allSatisfy({ $0 != UInt8(ascii: "%") && $0 != 0 }) { return String(text) }
        guard let decoded = Self.decode(text.utf8, plusIsSpace: false) else {
            throw HTTP1Error(.badEncoding, "The percent-encoding is malformed, or hides no text.")
        }
        return decoded
    }

    static func decode(_ bytes: some Collection<UInt8>, plusIsSpace: Bool) -> String? {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var rest = bytes.makeIterator()
        while let byte = rest.next() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = rest.next().flatMap(FieldBytes.hex), let low = rest.next().flatMap(FieldBytes.hex)
                else {
                    return nil
                }
                decoded.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsSpace: decoded.append(0x20)
            default: decoded.append(byte)
            }
        }
        guard !decoded.contains(0) else { return nil }
        return String(validating: decoded, as: UTF8.self)
    }
}
