import ChannelLayer
import NIOCore

/// A channel in which a group's messages are heard.
struct BridgeTarget: Sendable, Hashable {
    /// The channel's group, by which its stream is known.
    let group: GroupName
    /// Who hears what is kept: the channel's subscribers without the others of a group of the same name, who have heard the
    /// message itself. `nil` where the channel's group has no others.
    let audience: GroupName?
    /// Which namespace counts for it.
    let namespace: Int
}

extension LayerMessage {
    /// The key under which a publication that was kept of a group's message names that group.
    static let bridgeKey = "bridge"

    /// Whether it is a kept copy of a plain message, which others have heard as that.
    var isBridged: Bool { self.value(under: Self.bridgeKey) != nil && self.position != nil }

    /// Whether it is somebody's message to a group, which says no position: nothing that gateways tell each other.
    var isPlain: Bool {
        guard let type = self.type else { return true }
        if type == Self.publicationType { return self.position == nil }
        return !type.utf8.starts(with: "carillon.".utf8)
    }

    /// The publication that a plain message to `group` is in a channel.
    ///
    /// - Parameter dataKey: of the channel's namespace.
    func bridged(from group: GroupName, dataKey: String?) throws(ClientPublication.Fault) -> LayerMessage {
        let publication = try ClientPublication(self, dataKey: dataKey)
        var message = LayerMessage.publication(publication.data.layerValue)
        if self.type == Self.publicationType {
            for key in ["info", "tags", "time"] {
                guard let value = self.valueUnlessNull(under: key) else { continue }
                message.entries.append(.init(key: .string(key), value: value))
            }
        }
        message.entries.append(.init(key: .string(Self.bridgeKey), value: .string(group.text)))
        return message
    }

    /// What the message is known by in several gateways.
    func content(in group: GroupName) -> String {
        let key = HeardMessage(self, in: group, at: 0).key
        return String(key.high, radix: 36) + "-" + String(key.low, radix: 36)
    }
}
