import ChannelLayer
import JSON
import NIOCore
package import Settings

extension RouteConfiguration {
    package static let setting = StructuredSetting(
        "gateway.routes", wanted: "a list of routes, [ { \"path\": …, \"authenticate\": …, \"groups\": [ … ] } ]",
        help: """
            The plain routes: who may connect under a path, which groups a connection follows, and what each message \
            becomes. docs/routes.md tells all keys.
            """,
        example: """
            [ { "path": "/channels/updates/", "authenticate": { "worker": "/accounts/whoami" },
                "groups": ["updates-{user}"], "rules": [ { "type": "user.message", "text": "data" } ] } ]
            """)

    private static let keys = [
        "path", "authenticate", "anonymous_user", "groups", "rules", "otherwise", "receive", "allowed_origins",
        "loopback_only", "on_gap", "refuse",
    ]

    /// The routes of the settings; those with faults are left out, and `reader` has been told.
    ///
    /// - Parameter prefix: what each path must begin with, since nothing else reaches a gateway.
    package static func all(reading reader: SettingsReader, prefix: String) -> [RouteConfiguration] {
        var shapes: [[PathPattern.Segment]: String] = [:]
        var routes: [RouteConfiguration] = []
        for node in reader.node(Self.setting)?.elements(limit: 1_000) ?? [] {
            guard let route = RouteConfiguration(reading: node, prefix: prefix) else { continue }
            if let first = shapes.updateValue(route.path.text, forKey: route.path.shape) {
                node.child("path")?.fault("matches what \"\(first)\" above matches and is never used; remove one")
                continue
            }
            routes.append(route)
        }
        return routes
    }

    /// One route; `nil` without a path or `authenticate` that can be used. Every fault is told, not the first only.
    package init?(reading node: SettingsNode, prefix: String) {
        guard node.allow(Self.keys) else { return nil }
        let path = node.required("path", wanted: "a path, for example \"\(prefix)updates/\"") {
            text throws(RouteError) in
            guard text.hasPrefix(prefix) else {
                throw RouteError("wanted a path below \(prefix): nothing else reaches a gateway")
            }
            return try PathPattern(text)
        }
        let captures = path?.captureNames ?? []
        let isLoopbackOnly = node.optional("loopback_only", Bool.self) ?? false
        let authentication = Authentication(readingFrom: node, captures: captures, isLoopbackOnly: isLoopbackOnly)
        let groups = node.values("groups", limit: Self.groupLimit, wanted: "a group, for example \"updates-{user}\"") {
            try Template(group: $0, captures: captures)
        }
        let rules = RuleSet(readingFrom: node)
        let receive = ReceiveRule(readingFrom: node, captures: captures)
        let anonymousUser = node.optional("anonymous_user", wanted: "a text for {user}, for example \"None\"") {
            try GroupName($0).text
        }
        let origins = node.child("allowed_origins").flatMap { OriginCheck(reading: $0) }
        let gap = node.child("on_gap").flatMap { GapBehaviour(reading: $0) }
        let refusal = node.oneOf("refuse", RefusalForm.self)
        guard let path, let authentication, let receive else { return nil }
        self.init(path: path, authentication: authentication, groups: groups, rules: rules, receive: receive)
        self.anonymousUser = anonymousUser
        self.isLoopbackOnly = isLoopbackOnly
        self.origins = origins
        self.gap = gap ?? self.gap
        self.refusal = refusal ?? self.refusal
    }
}

extension RouteConfiguration.GapBehaviour {
    /// `"ignore"`, `"close"` or `{"send": VALUE}`
    fileprivate init?(reading node: SettingsNode) {
        guard node.isObject else {
            guard let word = node.read(SettingKind<String>.oneOf(["ignore", "close"], or: "{\"send\": …}")) else {
                return nil
            }
            self = word == "close" ? .close : .ignore
            return
        }
        node.allow(["send"])
        guard let message = node.child("send") else {
            // Of a key with another name the reader knows already.
            guard node.value.object?.isEmpty == true else { return nil }
            node.missing("send", wanted: "the JSON that browsers are sent, for example {\"type\": \"gap\"}")
            return nil
        }
        var json = ByteBuffer()
        json.writeJSON(message.value)
        self = .send(JSONText(unchecked: json))
    }
}

extension PathPattern {
    /// The segments without the names of captures: two patterns of one shape match the same paths.
    fileprivate var shape: [Segment] {
        self.segments.map { if case .capture = $0 { .capture("") } else { $0 } }
    }
}

extension Template {
    /// A template for a group name: what is written between the variables must be able to stand in one.
    init(group text: String, captures: [String]) throws(RouteError) {
        self = try Template(text, captures: captures)
        do {
            _ = try GroupName(self.literals.isEmpty ? "x" : self.literals)
        } catch {
            throw RouteError("wanted a group name of A-Z a-z 0-9 - _ . and variables in braces, at most 99 characters")
        }
    }
}

extension OriginCheck {
    /// A list of origins.
    package init?(reading node: SettingsNode) {
        let texts = node.elements(limit: 1_000).compactMap { element -> String? in
            element.read(
                SettingKind<String>.string("an origin, for example \"https://example.org\"").converted(
                    { text in
                        _ = try OriginCheck(allowing: [text])
                        return text
                    }, back: { $0 }))
        }
        guard node.isList, let check = try? OriginCheck(allowing: texts) else { return nil }
        self = check
    }
}
