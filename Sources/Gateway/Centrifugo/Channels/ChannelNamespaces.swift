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

    /// The same namespaces with other options.
    func changed(_ change: (inout ChannelOptions) -> Void) -> ChannelNamespaces {
        var changed = self
        for index in changed.all.indices { change(&changed.all[index]) }
        return changed
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
    package func number(of channel: String) -> Int? {
        guard let (namespace, _) = Self.parts(of: channel) else { return 0 }
        return self.numbers[String(namespace)]
    }

    /// The part of a name behind its namespace.
    static func rest(of channel: String) -> Substring {
        self.parts(of: channel)?.rest ?? (channel.utf8.first == Self.privateMark ? channel.dropFirst() : channel[...])
    }

    /// A private channel's mark stands before its namespace.
    static let privateMark = UInt8(ascii: "$")

    private static func parts(of channel: String) -> (namespace: Substring, rest: Substring)? {
        let name = channel.utf8.first == Self.privateMark ? channel.dropFirst() : channel[...]
        guard let boundary = name.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        return (name[..<boundary], name[name.utf8.index(after: boundary)...])
    }
}
