import ChannelLayer
import Settings

extension ReceiveRule {
    private static let wanted =
        """
        "drop", "echo", {"group": …, "type": …, "key": …}, {"group": …}, {"worker": "/path"} or {"layer": "channel"}
        """

    /// The key `receive` of a route; `drop` when there is none, `nil` when it cannot be used.
    init?(readingFrom route: SettingsNode, captures: [String]) {
        guard let node = route.child("receive") else {
            self = .drop
            return
        }
        switch node.value.string {
        case "drop":
            self = .drop
            return
        case "echo":
            self = .echo
            return
        default: break
        }
        guard node.isObject else {
            node.fault("wanted \(Self.wanted)")
            return nil
        }
        node.allow(["group", "type", "key", "require_key", "worker", "layer"])
        let choice = node.choice(["group", "worker", "layer"])
        if choice != "group" {
            for key in ["type", "key", "require_key"] { node.refuse(key, "has no effect without \"group\"; remove it") }
        }
        switch choice {
        case "group":
            self.init(group: node, captures: captures)
        case "worker":
            guard let path = node.workerPath("worker", captures: captures) else { return nil }
            self = .worker(path)
        case "layer":
            let channel = node.required("layer", wanted: "a channel of the layer, for example \"chat\"") {
                try ChannelName($0)
            }
            guard let channel else { return nil }
            self = .layer(channel)
        default:
            return nil
        }
    }

    private init?(group node: SettingsNode, captures: [String]) {
        let group = node.required("group", wanted: "a group, for example \"room-{room}\"") {
            try Template(group: $0, captures: captures)
        }
        let type = node.optional("type", wanted: "a type, for example \"chat.message\"") { text throws(RouteError) in
            guard !(try TypePattern(text)).isWildcard else { throw RouteError("wanted one type, without \"*\"") }
            return text
        }
        let key = node.optional("key", String.self)
        let requiredKey = node.optional("require_key", String.self)
        let hasType = node.child("type") != nil
        if hasType, key == nil {
            if node.child("key") == nil { node.missing("key", wanted: "the key that holds what the browser said") }
            return nil
        }
        if !hasType { node.refuse("key", "has no effect without \"type\"; remove it, or say which type") }
        guard let group, !hasType || type != nil else { return nil }
        let form: Form = if let type, let key { .message(type: type, key: key) } else { .publication }
        self = .group(group, form: form, requiredKey: requiredKey)
    }
}

extension SettingsNode {
    /// A path of the workers with variables.
    func workerPath(_ key: String, captures: [String]) -> Template? {
        self.required(key, wanted: "a path of the workers, for example \"/accounts/whoami\"") {
            try Template(workerPath: $0, captures: captures)
        }
    }
}

extension Template {
    /// A template for path and query of a request to the workers.
    init(workerPath text: String, captures: [String]) throws(RouteError) {
        guard text.hasPrefix("/"), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") }) else {
            throw RouteError(
                "wanted a path of the workers, percent-encoded, for example \"/accounts/whoami?room={room}\"")
        }
        self = try Template(text, captures: captures)
    }
}
