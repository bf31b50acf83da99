import ChannelLayer
import Gateway
import Workers

extension ChannelRules {
    /// What the gateways' namespaces say; without any, every channel is there and nothing is kept.
    static func lookUp(in namespaces: ChannelNamespaces?) -> LookUp {
        guard let namespaces else { return Self.none }
        let all = namespaces.all.map(ChannelRules.init)
        return { channel in
            namespaces.number(of: channel).flatMap { all.indices.contains($0) ? all[$0] : nil }
        }
    }

    private init(_ options: ChannelOptions) {
        self.init(history: HistoryOptions(options), hasPresence: options.presence)
        self.allowsNoData = options.publicationFormat == .binary
    }
}
