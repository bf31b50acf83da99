/// `%41` and the like (RFC 3986 section 2.1).
public enum PercentEncoding {
    /// Undoes the encoding.
    ///
    /// - Throws: a percent sign without two hexadecimal digits, bytes that are no UTF-8, or a NUL.
    public static func decode(_ text: some StringProtocol) throws(HTTP1Error) -> String {
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
                guard let high = rest.next().flatMap(Self.digit), let low = rest.next().flatMap(Self.digit) else {
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

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte &- UInt8(ascii: "a") &+ 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte &- UInt8(ascii: "A") &+ 10
        default: nil
        }
    }
}

/// The items of a query (`application/x-www-form-urlencoded`). Items that cannot be decoded are left out.
public struct QueryItems: Sendable, Hashable {
    /// Names and values in order, at most 256.
    public let items: [Item]

    public struct Item: Sendable, Hashable {
        public let name: String
        public let value: String
    }

    public init(_ query: String) {
        self.items = query.utf8.split(separator: UInt8(ascii: "&"), maxSplits: 256).prefix(256).compactMap { item in
            let equals = item.firstIndex(of: UInt8(ascii: "=")) ?? item.endIndex
            guard let name = PercentEncoding.decode(item[..<equals], plusIsSpace: true),
                let value = PercentEncoding.decode(item[equals...].dropFirst(), plusIsSpace: true)
            else { return nil }
            return Item(name: name, value: value)
        }
    }

    /// The first value under `name`.
    public subscript(_ name: String) -> String? { self.items.first { $0.name == name }?.value }
}
