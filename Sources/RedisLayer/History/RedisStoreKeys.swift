import ChannelLayer
import NIOCore

/// The names of what Redis keeps of one group. In a cluster all are in the slot of the group's topic, whose name stands in
/// braces; so one script may use them all.
///
///     <prefix>:history:<group>     stream: publications, the offset as their id, the message under `m`
///     <prefix>:position:<group>    hash: `e` epoch, `o` offset of the newest, `v` and `ve` its version and that one's epoch,
///                                  `s` the time it was sent under, where order needs it
///     <prefix>:once:<group>:<key>  text: what became of the publication with an idempotency key;
///                                  a hash where witnesses publish (RedisHistoryScripts)
///     <prefix>:present:<group>     hash: for each client the length of its user's name, `:`, that name, and its information
///     <prefix>:renewed:<group>     sorted set: for each client when its presence ends, milliseconds since 1970
///     <prefix>:users:<group>       hash: for each user how many clients are his
struct RedisStoreKeys: Sendable {
    /// `prefix` of the configuration.
    let prefix: String
    /// What the topics of groups begin with, when they are in a cluster; else `nil`.
    let topicPrefix: String?

    private func name(_ kind: StaticString, _ group: GroupName) -> String {
        guard let topicPrefix else { return "\(self.prefix):\(kind):\(group.text)" }
        return "\(self.prefix):\(kind):{\(topicPrefix)\(group.text)}"
    }

    func history(_ group: GroupName) -> String { self.name("history", group) }
    func position(_ group: GroupName) -> String { self.name("position", group) }
    func once(_ group: GroupName, _ key: String) -> String { "\(self.name("once", group)):\(key)" }
    func present(_ group: GroupName) -> String { self.name("present", group) }
    func renewed(_ group: GroupName) -> String { self.name("renewed", group) }
    func users(_ group: GroupName) -> String { self.name("users", group) }

    /// Why nothing can be kept of a group: names that are not checked may have braces of their own, which decide about
    /// the slot of the topic.
    func refusal(of group: GroupName) -> LayerError? {
        guard self.topicPrefix != nil, "\(self.prefix)\(group.text)".utf8.contains(where: { $0 == 0x7B || $0 == 0x7D })
        else { return nil }
        return LayerError(
            .invalidName,
            "\(group) or the prefix has braces; a cluster keeps nothing of such a group, name it otherwise")
    }
}
