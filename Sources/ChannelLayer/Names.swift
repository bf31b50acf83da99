/// A mailbox in the layer: `chat.worker`, or process-specific `specific.<process>!<local>`.
///
/// 1 to 99 characters of `A-Z a-z 0-9 - _ .`, then perhaps one `!` and more of the same.
public struct ChannelName: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public var description: String { self.text }

    /// - Throws: `invalidName`, which says the rule and the name.
    public init(_ text: String) throws(LayerError) {
        self.text = text
    }
}

/// A set of channels that one send reaches: 1 to 99 characters of `A-Z a-z 0-9 - _ .`.
public struct GroupName: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public var description: String { self.text }

    /// - Throws: `invalidName`, which says the rule and the name.
    public init(_ text: String) throws(LayerError) {
        self.text = text
    }

    /// A name that the layer's peers may use although the rule forbids it (Redis pub/sub checks nothing).
    public init(unchecked text: String) { self.text = text }
}
