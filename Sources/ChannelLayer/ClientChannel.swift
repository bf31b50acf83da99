/// What a browser calls a channel, and the group it is in the layer.
///
/// A name that a group can have is that group: what Django sends with `group_send("news", …)` reaches the channel `news`.
/// Other names (`chat:7`, `dialog#12,57`) are groups behind a prefix, with each character that no group has, and `_`,
/// as `_` and two hexadecimal digits: `carillon.channel.chat_3A7`. A name that begins with `carillon.` is none, so that no
/// two channels are one group (who may follow one must not hear the other), and no group of the gateways' own is one.
package struct ClientChannel: Hashable, Sendable {
    package let text: String
    package let group: GroupName

    package static let groupPrefix = "carillon.channel."
    private static let reservedPrefix = "carillon."
    /// Characters of a name at most, as of Centrifugo.
    package static let lengthLimit = 255

    /// - Throws: `invalidName` for a name with other than visible ASCII characters, or too long for a group.
    package init(_ text: String) throws(LayerError) {
        let isVisible = text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
        guard !text.isEmpty, isVisible, text.utf8.count <= Self.lengthLimit, !text.hasPrefix(Self.reservedPrefix) else {
            throw LayerError(
                .invalidName,
                "no channel: wanted 1 to \(Self.lengthLimit) visible ASCII characters, not \(Self.reservedPrefix)…")
        }
        self.text = text
        if let group = try? GroupName(text) {
            self.group = group
        } else {
            self.group = try GroupName(Self.groupPrefix + Self.escaped(text))
        }
    }

    /// The channel that a group is.
    package init(of group: GroupName) {
        self.group = group
        let isEscaped = group.text.hasPrefix(Self.groupPrefix)
        self.text = isEscaped ? Self.unescaped(group.text.dropFirst(Self.groupPrefix.count)) : group.text
    }

    /// Those who hear what is kept in a channel that is a plain group, without that group's own members; `nil` for other
    /// channels, whose groups have no other members, and for names that are too long.
    package var audience: GroupName? {
        guard !self.group.text.hasPrefix(Self.reservedPrefix) else { return nil }
        return try? GroupName(Self.groupPrefix + Self.escaped(self.text))
    }

    /// Whether only those are in a group who hear what is kept in a channel that is another group.
    package static func isAudience(_ group: GroupName) -> Bool {
        group.text.hasPrefix(Self.groupPrefix) && (try? ClientChannel(ClientChannel(of: group).text))?.group != group
    }

    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                // Visible characters have two digits.
                escaped += "_" + String(byte, radix: 16, uppercase: true)
            }
        }
        return escaped
    }

    private static func unescaped(_ text: Substring) -> String {
        var result = ""
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "_"), let code = UInt8(String(Substring(rest.prefix(2))), radix: 16) else {
                result.unicodeScalars.append(Unicode.Scalar(byte))
                continue
            }
            rest = rest.dropFirst(2)
            result.unicodeScalars.append(Unicode.Scalar(code))
        }
        return result
    }
}
