/// The items of a query or a form (`application/x-www-form-urlencoded`: `&` between items, `+` for a space).
///
/// Items that cannot be decoded are left out, as a browser's back-ends do; an item without `=` has an empty value.
public struct QueryItems: Sendable, Hashable {
    /// Items that are looked at; what comes after them is left out.
    private static let limit = 256

    /// Names and values in order, at most 256.
    public let items: [Item]

    /// One name and its value, decoded: valid UTF-8 without NUL.
    public struct Item: Sendable, Hashable {
        public let name: String
        public let value: String
    }

    /// - Parameter query: raw, without the question mark.
    public init(_ query: String) {
        self.items = query.utf8.split(separator: UInt8(ascii: "&"), maxSplits: Self.limit).prefix(Self.limit).compactMap
        { item in
            let equals = item.firstIndex(of: UInt8(ascii: "=")) ?? item.endIndex
            guard let name = PercentEncoding.decode(item[..<equals], plusIsSpace: true),
                let value = PercentEncoding.decode(item[equals...].dropFirst(), plusIsSpace: true)
            else { return nil }
            return Item(name: name, value: value)
        }
    }

    /// The first value under `name`.
    public subscript(_ name: String) -> String? { self.items.first { $0.name == name }?.value }

    /// All values under `name`, in order.
    public func values(_ name: String) -> [String] { self.items.lazy.filter { $0.name == name }.map(\.value) }
}
