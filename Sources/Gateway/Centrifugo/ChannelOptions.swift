/// What may be done with the channels of one namespace, and what becomes of group messages in them.
package struct ChannelOptions: Sendable, Hashable {
    /// Whoever is known may subscribe.
    package var allowSubscribeForClient = false
    /// With the one above: visitors without a user too.
    package var allowSubscribeForAnonymous = false
    /// Whoever is known may publish.
    package var allowPublishForClient = false
    /// Who is subscribed may publish.
    package var allowPublishForSubscriber = false
    /// With `allowPublishForClient`: visitors without a user too.
    package var allowPublishForAnonymous = false
    /// `dialog#12,57` is for the users 12 and 57 alone, who need no other permission.
    package var allowUserLimitedChannels = false
    /// The key of a group message whose value becomes the publication's data; `nil` for the whole message.
    package var dataKey: String?

    package init() {}

    func maySubscribe(_ user: String, to channel: String) -> Bool {
        if self.allowUserLimitedChannels, let mark = channel.lastIndex(of: "#") {
            return !user.isEmpty && channel[channel.index(after: mark)...].split(separator: ",").contains { $0 == user }
        }
        return self.allowSubscribeForClient && (!user.isEmpty || self.allowSubscribeForAnonymous)
    }

    func mayPublish(_ user: String, isSubscribed: Bool) -> Bool {
        if self.allowPublishForClient, !user.isEmpty || self.allowPublishForAnonymous { return true }
        return self.allowPublishForSubscriber && isSubscribed
    }
}

/// The namespaces of a gateway: the text before the first `:` of a channel's name says which one counts.
package struct ChannelNamespaces: Sendable {
    /// Of names without `:`; then the others, in their order.
    package private(set) var all: [ChannelOptions]
    private var numbers: [String: Int] = [:]

    package init(withoutNamespace: ChannelOptions = ChannelOptions(), _ named: [(name: String, ChannelOptions)] = []) {
        self.all = [withoutNamespace]
        for (name, options) in named {
            self.numbers[name] = self.all.count
            self.all.append(options)
        }
    }

    /// Whether a namespace can be called so.
    package static func isName(_ name: String) -> Bool {
        name.utf8.count >= 2
            && name.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
    }

    /// Which of `all` counts for a channel; `nil` when its namespace is not there.
    func number(of channel: String) -> Int? {
        // A private channel's mark stands before its namespace.
        let name = channel.utf8.first == UInt8(ascii: "$") ? channel.dropFirst() : channel[...]
        guard let boundary = name.utf8.firstIndex(of: UInt8(ascii: ":")) else { return 0 }
        return self.numbers[String(name[..<boundary])]
    }
}
