package import JSON

/// A setting, declared once, beside the code that uses it: its name, what values it takes, what it is without anybody's
/// word, and one sentence or two on what it does.
///
/// The declaration makes the reading, the bounds, the errors, `carillon settings`, the sample file and `docs/settings.md`.
package struct Setting<Value: Sendable>: AnySetting {
    /// The keys in a file, joined with dots: `gateway.send_queue_limit`.
    package let name: String
    package let defaultValue: Value
    package let kind: SettingKind<Value>
    package let help: String
    /// Whether values are kept out of every output.
    package let isSecret: Bool
    /// A value somebody could really use, for pages and errors.
    package let example: String?

    /// A setting of a kind of its own.
    ///
    /// - Parameter help: sentences for an operator: what it does, and when to change it.
    package init(
        _ name: String, default defaultValue: Value, kind: SettingKind<Value>, help: String, isSecret: Bool = false,
        example: String? = nil
    ) {
        self.name = name
        self.defaultValue = defaultValue
        self.kind = kind
        self.help = help
        self.isSecret = isSecret
        self.example = example
    }

    package var wanted: String { self.kind.wanted }
    package var defaultJSON: JSONValue { self.kind.json(self.defaultValue) }

    package func reading(by reader: SettingsReader) -> SettingReading {
        let value = reader.value(self)
        return SettingReading(setting: self, value: self.kind.json(value), origin: reader.origin(of: self.name))
    }
}

/// What all settings have, whatever their values are.
package protocol AnySetting: Sendable {
    var name: String { get }
    var help: String { get }
    var isSecret: Bool { get }
    /// What a value must be, as the end of "wanted …".
    var wanted: String { get }
    var example: String? { get }
    /// The default as it would stand in a file.
    var defaultJSON: JSONValue { get }
    /// Its keys, where it has some.
    var parts: [SettingPart] { get }
    /// The value in force and where it came from. Faults are left with `reader`.
    func reading(by reader: SettingsReader) -> SettingReading
}

extension AnySetting {
    package var parts: [SettingPart] { [] }

    /// `CARILLON_` and the name in capitals, with `_` for each dot.
    package var environmentName: String { SettingsEnvironment.name(of: self.name) }
}

/// A setting with parts of its own, which a module reads node by node: a list of routes, a map of layers.
///
/// As an environment variable it is JSON text.
package struct StructuredSetting: AnySetting {
    package let name: String
    package let help: String
    package let wanted: String
    package let example: String?
    package let isSecret = false
    /// What it is when nobody gives it: `[]`, `{}` or `null`.
    package let defaultJSON: JSONValue
    package let parts: [SettingPart]

    /// - Parameter example: JSON text of a value that somebody could really use.
    package init(
        _ name: String, wanted: String, default defaultJSON: JSONValue = JSONValue(.array([])), help: String,
        example: String? = nil, parts: [SettingPart] = []
    ) {
        self.name = name
        self.help = help
        self.wanted = wanted
        self.defaultJSON = defaultJSON
        self.parts = parts
        self.example = example
    }

    package func reading(by reader: SettingsReader) -> SettingReading {
        SettingReading(
            setting: self, value: reader.node(self)?.written ?? self.defaultJSON, origin: reader.origin(of: self.name))
    }
}

// MARK: Short declarations

extension Setting where Value: SettingValue {
    /// A setting with a rule of its own.
    ///
    /// - Parameters:
    ///   - bounds: what a value must be, as the end of "wanted …".
    ///   - accepts: whether a value is that.
    package init(
        _ name: String, default defaultValue: Value, help: String, isSecret: Bool = false, example: String? = nil,
        bounds: String, accepts: @escaping @Sendable (Value) -> Bool
    ) {
        let kind = Value.settingKind.converted(wanted: bounds) { value in
            guard accepts(value) else { throw SettingMismatch(wanted: bounds) }
            return value
        } back: {
            $0
        }
        self.init(name, default: defaultValue, kind: kind, help: help, isSecret: isSecret, example: example)
    }
}

extension Setting where Value == String {
    /// One of a few words.
    package init(_ name: String, default defaultValue: String, oneOf words: [String], help: String) {
        self.init(name, default: defaultValue, kind: .oneOf(words), help: help)
    }
}

extension Setting where Value == Bool {
    package init(_ name: String, default defaultValue: Bool, help: String) {
        self.init(name, default: defaultValue, kind: .bool, help: help)
    }
}

extension Setting where Value == Int {
    /// - Parameters:
    ///   - range: the smallest and the largest that can be used.
    ///   - unit: what is counted, in the plural: `bytes`, `messages`, `threads`.
    package init(_ name: String, default defaultValue: Int, in range: ClosedRange<Int>, unit: String = "", help: String)
    {
        self.init(name, default: defaultValue, kind: .integer(in: range, unit: unit), help: help)
    }
}

extension Setting where Value == Duration {
    package init(_ name: String, default defaultValue: Duration, in range: ClosedRange<Duration>, help: String) {
        self.init(name, default: defaultValue, kind: .duration(in: range), help: help)
    }
}

extension Setting where Value == String {
    package init(
        _ name: String, default defaultValue: String, help: String, isSecret: Bool = false, example: String? = nil
    ) {
        self.init(name, default: defaultValue, kind: .string, help: help, isSecret: isSecret, example: example)
    }
}

extension Setting where Value == String? {
    package init(
        _ name: String, default defaultValue: String? = nil, help: String, isSecret: Bool = false,
        example: String? = nil
    ) {
        self.init(
            name, default: defaultValue, kind: SettingKind<String>.string.orNone, help: help, isSecret: isSecret,
            example: example)
    }
}

extension Setting where Value == [String] {
    /// - Parameter limit: elements at most.
    package init(
        _ name: String, default defaultValue: [String] = [], atMost limit: Int = 1_000, help: String,
        isSecret: Bool = false, example: String? = nil
    ) {
        self.init(
            name, default: defaultValue, kind: SettingKind<String>.string("texts").list(atMost: limit), help: help,
            isSecret: isSecret,
            example: example)
    }
}

extension Setting where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    package init(_ name: String, default defaultValue: Value, help: String) {
        self.init(name, default: defaultValue, kind: .oneOf, help: help)
    }
}
