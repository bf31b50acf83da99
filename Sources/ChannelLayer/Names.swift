/// A mailbox in the layer: `chat.worker`, or process-specific `specific.<process>!<local>`.
///
/// 1 to 99 characters of `A-Z a-z 0-9 - _ .`, then perhaps one `!` and more of the same.
public struct ChannelName: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public var description: String { self.text }

    /// - Throws: `invalidName`, which says the rule and the name.
    public init(_ text: String) throws(LayerError) {
        let bytes = text.utf8
        let main = bytes.prefix { $0 != UInt8(ascii: "!") }
        let local = bytes.dropFirst(main.count + 1)
        guard (1...NameRule.maximum).contains(bytes.count), !main.isEmpty, main.allSatisfy(NameRule.allows),
            local.allSatisfy(NameRule.allows)
        else { throw NameRule.error("channel", text, ", then perhaps one ! and more of the same") }
        self.text = text
    }

    /// A name that the layer's peers may use although the rule forbids it (Redis pub/sub checks nothing).
    public init(unchecked text: String) { self.text = text }

    /// Everything up to and including the `!`, which one process reads; `nil` for a normal channel.
    public var nonLocalPart: Substring? {
        guard let mark = self.text.utf8.firstIndex(of: UInt8(ascii: "!")) else { return nil }
        return self.text[...mark]
    }

    /// Where the channel's messages are counted and stored: the non-local part, or the whole name of a normal channel.
    public var mailbox: String { self.nonLocalPart.map(String.init) ?? self.text }
}

/// A set of channels that one send reaches: 1 to 99 characters of `A-Z a-z 0-9 - _ .`.
public struct GroupName: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public var description: String { self.text }

    /// - Throws: `invalidName`, which says the rule and the name.
    public init(_ text: String) throws(LayerError) {
        let bytes = text.utf8
        guard (1...NameRule.maximum).contains(bytes.count), bytes.allSatisfy(NameRule.allows) else {
            throw NameRule.error("group", text, "")
        }
        self.text = text
    }

    /// A name that the layer's peers may use although the rule forbids it (Redis pub/sub checks nothing).
    public init(unchecked text: String) { self.text = text }
}

/// What names are made of. Python's check also lets other scripts' digits and a final line feed pass; no application
/// depends on that, and a peer that generates and accepts ASCII alone agrees with every real one.
private enum NameRule {
    static let maximum = 99

    static func allows(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    static func error(_ what: String, _ text: String, _ more: String) -> LayerError {
        let shown = text.count > 120 ? text.prefix(100) + "… (\(text.count) characters)" : text[...]
        return LayerError(
            .invalidName,
            "\"\(shown)\" is no \(what) name: wanted 1 to \(Self.maximum) characters of A-Z a-z 0-9 - _ .\(more)")
    }
}
