import JSON

/// A setting, declared once, beside the code that uses it: from this come reading, bounds, errors, `carillon settings`
/// and docs/settings.md.
package struct Setting<Value: SettingValue>: AnySetting {
    package let name: String
    package let defaultValue: Value
    package let help: String
    package let unit: String?
    package let isSecret: Bool
    /// What is wanted in words; `nil` when every value of the type will do.
    private let bounds: String?
    private let accepts: @Sendable (Value) -> Bool

    /// - Parameters:
    ///   - name: where it stands in the file, `gateway.send_queue_limit`.
    ///   - help: what it does, for a person.
    package init(
        _ name: String, default defaultValue: Value, unit: String? = nil, help: String, isSecret: Bool = false,
        bounds: String? = nil, accepts: @escaping @Sendable (Value) -> Bool = { _ in true }
    ) {
        self.name = name
        self.defaultValue = defaultValue
        self.unit = unit
        self.help = help
        self.isSecret = isSecret
        self.bounds = bounds
        self.accepts = accepts
    }

    package var shownDefault: String { self.isSecret ? "" : self.defaultValue.shown }
    package var kind: String { Value.wanted }
    package var wanted: String {
        [self.bounds ?? Value.wanted, self.unit].compactMap { $0 }.joined(separator: " ")
    }

    func read(_ json: JSONValue) -> Value? { Value.read(json).flatMap { self.accepts($0) ? $0 : nil } }
    func read(_ text: String) -> Value? { Value.read(text).flatMap { self.accepts($0) ? $0 : nil } }
}

extension Setting where Value: Comparable {
    /// A setting with bounds.
    package init(
        _ name: String, default defaultValue: Value, in range: ClosedRange<Value>, unit: String? = nil, help: String
    ) {
        self.init(
            name, default: defaultValue, unit: unit, help: help,
            bounds: "\(range.lowerBound.shown) to \(range.upperBound.shown)", accepts: { range.contains($0) })
    }
}

extension Setting where Value == String {
    /// A setting that is one of a few words.
    package init(_ name: String, default defaultValue: String, oneOf words: [String], help: String) {
        self.init(
            name, default: defaultValue, help: help, bounds: "one of " + words.joined(separator: ", "),
            accepts: { words.contains($0) })
    }
}

/// A setting of whatever type, for the list of all.
package protocol AnySetting: Sendable {
    /// Where it stands in the file.
    var name: String { get }
    var help: String { get }
    /// What is wanted, with its unit.
    var wanted: String { get }
    var shownDefault: String { get }
    var isSecret: Bool { get }
}

extension AnySetting {
    /// The environment variable that sets it.
    package var environmentName: String {
        "CARILLON_" + self.name.uppercased().replacing(".", with: "_")
    }
}

/// A part of the file with a shape of its own, such as the list of routes; read through a `SettingsNode`.
package struct StructuredSetting: AnySetting {
    package let name: String
    package let help: String
    package let wanted: String
    package var shownDefault: String { "" }
    package var isSecret: Bool { false }

    package init(_ name: String, wanted: String, help: String) {
        self.name = name
        self.wanted = wanted
        self.help = help
    }
}
