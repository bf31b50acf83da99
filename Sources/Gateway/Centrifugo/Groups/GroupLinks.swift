package import ChannelLayer

/// Which groups of the layer are heard in which channels, beside those that have the same name; and which of them are kept
/// while nobody is subscribed.
package struct GroupLinks: Sendable, Hashable {
    package struct Link: Sendable, Hashable {
        package var group: NamePattern
        package var channel: NamePattern

        package init(group: NamePattern, channel: NamePattern) {
            self.group = group
            self.channel = channel
        }
    }

    package var links: [Link] = []
    package var always: [GroupName] = []
    /// Seconds by which one gateway may hear a message later than another.
    package var window = 90

    package init() {}

    /// The groups of a channel by another name.
    func groups(of channel: String) -> [GroupName] {
        self.links.compactMap { link in
            link.channel.part(of: channel).flatMap { link.group.name(with: $0) }.flatMap { try? GroupName($0) }
        }
    }

    /// The channels in which a group is heard.
    func allChannels(of group: GroupName) -> [ClientChannel] {
        let others = self.links.compactMap { link in
            link.group.part(of: group.text).flatMap { link.channel.name(with: $0) }
        }
        return ([group.text] + others).compactMap { try? ClientChannel($0) }
    }

    /// Whether a group is heard in a channel whose namespace keeps a history.
    func isKept(_ group: GroupName, _ namespaces: ChannelNamespaces) -> Bool {
        self.allChannels(of: group).contains { channel in
            namespaces.number(of: channel.text).map { namespaces.all[$0].keepsHistory } ?? false
        }
    }
}

/// A name, or names that differ in one part: `chat-*`.
package struct NamePattern: Sendable, Hashable {
    private let before: String
    /// What stands behind the part; `nil` when there is none.
    private let after: String?

    /// `nil` for a text with more than one `*`, or nothing but it.
    package init?(_ text: String) {
        let pieces = text.split(separator: "*", omittingEmptySubsequences: false).map(String.init)
        guard let before = pieces.first, pieces.count <= 2, !pieces.joined().isEmpty else { return nil }
        self.before = before
        self.after = pieces.count == 2 ? pieces[1] : nil
    }

    package var hasPart: Bool { self.after != nil }

    /// What the `*` stands for in a name, at least one character; `nil` for another name.
    func part(of name: String) -> Substring? {
        guard let after else { return name == self.before ? "" : nil }
        guard name.utf8.count > self.before.utf8.count + after.utf8.count, name.hasPrefix(self.before),
            name.hasSuffix(after)
        else { return nil }
        return name.dropFirst(self.before.count).dropLast(after.count)
    }

    /// The name with that part.
    func name(with part: Substring) -> String? { self.after.map { self.before + part + $0 } ?? self.before }
}
