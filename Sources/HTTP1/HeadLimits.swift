/// Bounds for heads. Past them a request is refused with 431, or 414 for its target.
public struct HeadLimits: Sendable, Hashable {
    /// Bytes of a whole head, first line and empty line and all.
    public var headBytes: Int
    /// Fields.
    public var fields: Int
    /// Bytes of a request's target.
    public var targetBytes: Int

    public init(headBytes: Int = 32_768, fields: Int = 100, targetBytes: Int = 8192) {
        self.headBytes = headBytes
        self.fields = fields
        self.targetBytes = targetBytes
    }

    /// Places in a head are kept in 32 bits; nobody has heads of this size.
    private static let most = 1 << 30

    /// The same bounds, none of them negative or beyond what places can say.
    var sane: HeadLimits {
        HeadLimits(
            headBytes: min(max(self.headBytes, 0), Self.most), fields: max(self.fields, 0),
            targetBytes: min(max(self.targetBytes, 0), Self.most))
    }
}
