/// A key inside a structured setting, as pages show it.
package struct SettingPart: Sendable {
    /// Below the setting's own name: `namespaces[].presence`.
    package let name: String
    package let wanted: String
    /// As it would stand in a file.
    package let defaultText: String
    package let help: String

    package init(name: String, wanted: String, defaultText: String, help: String) {
        self.name = name
        self.wanted = wanted
        self.defaultText = defaultText
        self.help = help
    }

    /// The same one level further down.
    package func below(_ place: String) -> SettingPart {
        SettingPart(name: "\(place).\(self.name)", wanted: self.wanted, defaultText: self.defaultText, help: self.help)
    }
}

/// A key of an object in a structured setting, declared once beside the value it fills: reading, bounds and pages follow
/// from it.
package struct SettingKey<Target>: Sendable {
    package let name: String
    package let part: SettingPart
    private let fill: @Sendable (SettingsNode, inout Target) -> Void

    /// - Parameters:
    ///   - place: what the value is put in.
    ///   - defaults: a target as it is when nobody says anything.
    ///   - help: what it does, as a sentence.
    package init<Value: Sendable>(
        _ name: String, _ place: any (WritableKeyPath<Target, Value> & Sendable), of defaults: Target,
        _ kind: SettingKind<Value>, _ help: String
    ) {
        self.name = name
        self.part = SettingPart(
            name: name, wanted: kind.wanted, defaultText: SettingsText.json(kind.json(defaults[keyPath: place])),
            help: help)
        self.fill = { node, target in
            if let value = node.optional(name, kind) { target[keyPath: place] = value }
        }
    }

    /// Reads the key, if it is there; faults are the reader's.
    package func read(_ node: SettingsNode, into target: inout Target) { self.fill(node, &target) }
}
