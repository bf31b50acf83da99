import ChannelLayer
import NIOCore

/// A channel of Redis' own kind: what processes subscribe to, and publish to.
struct RedisTopic: Sendable, Hashable {
    /// Whose messages go over it.
    enum Target: Sendable, Hashable {
        case group(GroupName)
        case channel(ChannelName)
    }

    let target: Target
    /// What stands before the group's or channel's own name.
    fileprivate let prefix: String

    /// - Parameter prefix: what `groupPrefix` made of that of the configuration.
    init(_ group: GroupName, groupPrefix prefix: String) {
        self.target = .group(group)
        self.prefix = prefix
    }

    /// Channels have no prefix added: names that Python makes begin with it.
    init(_ channel: ChannelName) {
        self.target = .channel(channel)
        self.prefix = ""
    }

    /// What the names of all groups' topics begin with.
    static func groupPrefix(_ prefix: String) -> String { "\(prefix)__group__" }

    /// As Redis knows it.
    var name: String { self.prefix + self.shownName }

    /// The group or channel, for people.
    var shownName: String {
        switch self.target {
        case .group(let group): group.text
        case .channel(let channel): channel.text
        }
    }
}

extension RedisCommand {
    /// - Parameters:
    ///   - sharded: within the slot of a cluster.
    ///   - payload: writes what is published.
    static func publish<Problem: Error>(
        to topic: RedisTopic, sharded: Bool, payload: (inout ByteBuffer) throws(Problem) -> Void
    ) throws(Problem) -> RedisCommand {
        var command = RedisCommand(sharded ? "SPUBLISH" : "PUBLISH", reserving: 480)
        // Without a text made of both.
        command.append(topic.prefix, topic.shownName)
        try command.append(writing: payload)
        return command
    }
}
