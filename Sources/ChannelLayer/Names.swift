/// A mailbox in the layer: `chat.worker`, or process-specific `specific.<process>!<local>`.
///
/// 1 to 99 characters of `A-Z a-z 0-9 - _ .`, then perhaps one `!` and more of the same.
public struct ChannelName: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public var description: String { self.text }

    /// - Throws: `invalidName`, which says the rule and the name.
    public init(_ text: String) throws(LayerError) {
        guard NameRule.holds(for: text, allowsLocalPart: true) else {
            throw NameRule.error("channel", text, ", then perhaps one ! and more of the same")
        }
        self.text = text
    }

    /// A name that the layer's peers may use although the rule forbids it (Redis pub/sub checks nothing).
    public init(unchecked text: String) { self.text = text }

    /// Everything up to and including the first `!`, which one process reads; `nil` for a normal channel.
    public var nonLocalPart: Substring? { self.mark.map { self.text[...$0] } }

    /// Everything after the first `!`, perhaps nothing: whom in its process the message is for; `nil` for a normal channel.
    public var localPart: Substring? { self.mark.map { self.text[self.text.utf8.index(after: $0)...] } }

    /// Where brokers count and store the channel's messages: the non-local part, or the whole name of a normal channel.
    public var mailbox: String { self.nonLocalPart.map(String.init) ?? self.text }

    private var mark: String.Index? { self.text.utf8.firstIndex(of: UInt8(ascii: "!")) }
}

/// A set of channels that one send reaches: 1 to 99 characters of `A-Z a-z 0-9 - _ .`.
public struct GroupName: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public var description: String { self.text }

    /// - Throws: `invalidName`, which says the rule and the name.
    public init(_ text: String) throws(LayerError) {
        guard NameRule.holds(for: text, allowsLocalPart: false) else { throw NameRule.error("group", text, "") }
        self.text = text
    }

    /// A name that the layer's peers may use although the rule forbids it (Redis pub/sub checks nothing).
    public init(unchecked text: String) { self.text = text }
}

/// What names are made of. Python's check also lets other scripts' digits and a final line feed pass; no application
/// depends on that, and a peer that generates and accepts ASCII alone agrees with every real one.
private enum NameRule {
    static let maximum = 99
    /// One bit for each allowed character: of codes 0 to 63, and of 64 to 127.
    private static let allowed: (UInt64, UInt64) = (0x03FF_6000_0000_0000, 0x07FF_FFFE_87FF_FFFE)

    static func holds(for text: String, allowsLocalPart: Bool) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            guard bytes.count >= 1, bytes.count <= Self.maximum, bytes[0] != UInt8(ascii: "!") else { return false }
            var mayMark = allowsLocalPart
            for byte in bytes where !Self.allows(byte) {
                guard mayMark, byte == UInt8(ascii: "!") else { return false }
                mayMark = false
            }
            return true
        }
    }

    private static func allows(_ byte: UInt8) -> Bool {
        let half = byte < 64 ? Self.allowed.0 : Self.allowed.1
        return byte < 128 && half >> UInt64(byte & 63) & 1 == 1
    }

    static func error(_ what: String, _ text: String, _ more: String) -> LayerError {
        // Bounded, and with line feeds and the like escaped: names come from outside, and errors go to logs.
        let scalars = text.unicodeScalars
        let excerpt = String(String.UnicodeScalarView(scalars.prefix(100)))
        let cut = text.utf8.count > excerpt.utf8.count ? "… (\(text.utf8.count) bytes)" : ""
        return LayerError(
            .invalidName,
            "\(excerpt.debugDescription)\(cut) is no \(what) name: wanted 1 to \(Self.maximum) characters of A-Z a-z 0-9 - _ .\(more)"
        )
    }
}
