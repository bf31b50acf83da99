import ChannelLayer
import Settings

extension GroupLinks {
    private static let defaults = GroupLinks()

    private static let window = SettingKey(
        "window", \.window, of: Self.defaults, .wholeSeconds(atLeast: 1, atMost: 3_600),
        "By how much one gateway may hear a message later than another and still not keep it once more. More than the layer's `expiry`."
    )

    /// The keys whose place is below `bridge`.
    static var parts: [SettingPart] { [Self.window.part] }

    /// `{"groups": [{"group": "chat-*", "channel": "chat:*"}], "always": ["news"], "window": "90s"}`
    init?(reading node: SettingsNode) {
        guard node.allow(["groups", "always", Self.window.name]) else { return nil }
        self.init()
        Self.window.read(node, into: &self)
        for element in node.elements("groups", limit: 1_000) where element.allow(["group", "channel"]) {
            let wanted = "a name, with at most one *"
            func pattern(_ key: String) -> NamePattern? {
                element.required(key, wanted: wanted) { text throws(RouteError) in
                    guard let pattern = NamePattern(text) else { throw RouteError("wanted \(wanted)") }
                    return pattern
                }
            }
            guard let group = pattern("group"), let channel = pattern("channel") else { continue }
            guard group.hasPart == channel.hasPart else {
                element.child("channel")?.fault("wanted a * in both names, or in none")
                continue
            }
            self.links.append(Link(group: group, channel: channel))
        }
        self.always = node.values("always", limit: 1_000, wanted: "a group's name") { text throws(LayerError) in
            try GroupName(text)
        }
    }
}
