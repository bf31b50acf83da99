import Settings

extension RuleSet {
    /// The keys `rules` and `otherwise` of a route. Rules that cannot be used are left out and told.
    init(readingFrom route: SettingsNode) {
        var rules: [Rule] = []
        for node in route.elements("rules", limit: 1_000) {
            guard let rule = Rule(reading: node) else { continue }
            if rules.contains(where: { $0.type == rule.type }) {
                node.child("type")?.fault("has a rule above already (a dot and an underscore are the same); remove one")
                continue
            }
            rules.append(rule)
        }
        self.init(rules: rules, otherwise: route.oneOf("otherwise", Otherwise.self) ?? .drop)
    }
}

extension Rule {
    private static let actions = ["text", "bytes", "json", "close", "drop"]

    /// `{"type": "user.message", "text": "data"}`
    init?(reading node: SettingsNode) {
        guard node.allow(["type", "with_type"] + Self.actions) else { return nil }
        let type = node.required("type", wanted: "a type, for example \"user.message\" or \"job.*\"") {
            try TypePattern($0)
        }
        let choice = node.choice(Self.actions)
        if choice != "json" { node.refuse("with_type", "has no effect here, only beside \"json\"; remove it") }
        let action: Action? =
            switch choice {
            case "text": node.key("text").map { .text(key: $0) }
            case "bytes": node.key("bytes").map { .bytes(key: $0) }
            case "json": Selection(reading: node).map { .json($0) }
            case "close": node.child("close").flatMap { Close(reading: $0) }.map { .close($0) }
            case "drop": node.isTrue("drop") ? .drop : nil
            default: nil
            }
        guard let type, let action else { return nil }
        self.init(type, action)
    }
}

extension Rule.Selection {
    /// `"json": true` or `"json": ["key", …]`, with `with_type` beside it (by default the whole message has its type, and
    /// chosen keys do not).
    fileprivate init?(reading rule: SettingsNode) {
        let withType = rule.optional("with_type", Bool.self)
        guard let node = rule.child("json") else { return nil }
        guard node.isList else {
            guard node.value.bool == true else {
                node.fault("wanted true for the whole message, or a list of keys, for example [\"id\", \"title\"]")
                return nil
            }
            self = .whole(withType: withType ?? true)
            return
        }
        guard let keys = node.read([String].self) else { return nil }
        guard !keys.isEmpty, Set(keys).count == keys.count else {
            node.fault("wanted at least one key, and each once")
            return nil
        }
        guard !(keys.contains("type") && withType == true) else {
            node.fault("names \"type\", which with_type adds already; remove one")
            return nil
        }
        self = .keys(keys, withType: withType ?? false)
    }
}

extension Rule.Close {
    private static let wanted =
        "a close code (1000 to 1003, 1007 to 1014, 3000 to 4999), the key that holds one, "
        + "or an object {\"code\": 4001, \"reason\": \"text\"}"

    /// `"close": 4001`, `"close": "key"`, `"close": {"code": …, "reason": "text", "reason_key": "key"}`
    fileprivate init?(reading node: SettingsNode) {
        guard node.isObject else {
            guard let code = Self.code(node) else { return nil }
            self.init(code: code)
            return
        }
        node.allow(["code", "reason", "reason_key"])
        if node.child("reason") != nil {
            node.refuse("reason_key", "stands beside \"reason\", wanted only one of the two")
        }
        var reason: Rule.Source<String> = .constant("")
        if let text = node.optional("reason", String.self) { reason = .constant(CloseValues.reason(text)) }
        if node.child("reason_key") != nil, let key = node.key("reason_key") { reason = .key(key) }
        guard let child = node.child("code") else {
            self.init(code: .constant(1000), reason: reason)
            return
        }
        guard let code = Self.code(child) else { return nil }
        self.init(code: code, reason: reason)
    }

    private static func code(_ node: SettingsNode) -> Rule.Source<UInt16>? {
        if let key = node.value.string, !key.isEmpty { return .key(key) }
        guard let code = node.value.integer.flatMap({ CloseValues.code($0) }) else {
            node.fault("wanted \(self.wanted)")
            return nil
        }
        return .constant(code)
    }
}

extension SettingsNode {
    /// The name of a message's key.
    fileprivate func key(_ name: String) -> String? {
        self.required(name, wanted: "the name of a key in the message") { text throws(RouteError) in
            guard !text.isEmpty else { throw RouteError("wanted the name of a key in the message") }
            return text
        }
    }

    fileprivate func isTrue(_ name: String) -> Bool {
        guard let child = self.child(name) else { return false }
        if child.value.bool == true { return true }
        child.fault("wanted true")
        return false
    }
}
