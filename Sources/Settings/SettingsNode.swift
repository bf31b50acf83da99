package import JSON

/// A place in a structured setting: an object, a list or a value, with its path for messages.
///
/// Accessors write down what is wrong, with path and line, and give back `nil`; a module leaves out the part and goes on.
package struct SettingsNode {
    /// `gateway.routes[0].rules[1].type`
    package let path: String
    /// As it stands in the file.
    package let written: JSONValue
    /// The same; when it is a text, with each `${NAME}` filled in. Inner nodes are filled in when they are looked at, so
    /// that a process needs only the secrets of its own parts.
    package let value: JSONValue
    private let origin: SettingsOrigin
    private let reader: SettingsReader
    private let isSecret: Bool
    /// A variable it names is not set: that was written down, and nothing more is to be said about it.
    private let isUnset: Bool

    init(
        _ path: String, _ written: JSONValue, _ origin: SettingsOrigin, _ reader: SettingsReader, isSecret: Bool = false
    ) {
        self.path = path
        self.written = written
        self.origin = origin
        self.reader = reader
        self.isSecret = isSecret
        do throws(SettingsFault) {
            self.value = try Self.resolved(written, path: path, origin: origin, reader.environment)
            self.isUnset = false
        } catch {
            reader.fault(error)
            self.value = written
            self.isUnset = true
        }
    }

    package var isObject: Bool { self.value.object != nil }
    package var isList: Bool { self.value.array != nil }
    package var isNull: Bool { self.value.isNull }

    // MARK: Values

    /// This node as a value; `nil`, and a fault, when it is none.
    package func read<Value>(_ kind: SettingKind<Value>) -> Value? {
        guard !self.isUnset else { return nil }
        var value = self.value
        if let elements = value.array {
            // A list of texts is filled in as a whole.
            let nodes = elements.enumerated().map { self.node("\(self.path)[\($0)]", $1) }
            guard !nodes.contains(where: \.isUnset) else { return nil }
            value.kind = .array(nodes.map(\.value))
        }
        do throws(SettingMismatch) {
            return try kind.value(from: value)
        } catch {
            self.fault(error.note)
            return nil
        }
    }

    /// This node as a value of a type that has a kind of its own.
    package func read<Value: SettingValue>(_ type: Value.Type = Value.self) -> Value? { self.read(Value.settingKind) }

    /// The value under `key`; `nil`, and a fault, when it is missing or none.
    package func required<Value>(_ key: String, _ kind: SettingKind<Value>, isSecret: Bool = false) -> Value? {
        guard let child = self.child(key, isSecret: isSecret) else {
            self.missing(key, wanted: kind.wanted)
            return nil
        }
        return child.read(kind)
    }

    /// The same for a type that has a kind of its own.
    package func required<Value: SettingValue>(
        _ key: String, _ type: Value.Type = Value.self, isSecret: Bool = false
    ) -> Value? {
        self.required(key, Value.settingKind, isSecret: isSecret)
    }

    /// The value under `key`; `nil` when there is none; `nil`, and a fault, when it cannot be used.
    package func optional<Value>(_ key: String, _ kind: SettingKind<Value>, isSecret: Bool = false) -> Value? {
        self.child(key, isSecret: isSecret)?.read(kind)
    }

    /// The same for a type that has a kind of its own.
    package func optional<Value: SettingValue>(
        _ key: String, _ type: Value.Type = Value.self, isSecret: Bool = false
    ) -> Value? {
        self.optional(key, Value.settingKind, isSecret: isSecret)
    }

    /// The case of an enumeration under `key`, by its raw value.
    package func oneOf<Value: RawRepresentable & CaseIterable & Sendable>(
        _ key: String, _ type: Value.Type = Value.self
    ) -> Value? where Value.RawValue == String {
        self.optional(key, SettingKind<Value>.oneOf)
    }

    /// The text under `key` as a value of our own; what `make` throws is the fault.
    ///
    /// - Parameter wanted: what the text must be, in words, for when it is missing or no text.
    package func required<Value: Sendable>(
        _ key: String, wanted: String, _ make: @escaping @Sendable (String) throws -> Value
    ) -> Value? {
        self.required(key, SettingKind<String>.string(wanted).converted(make, back: { _ in "" }))
    }

    /// The value under `key`, or `fallback` when there is none or it cannot be used.
    package func read<Value>(_ key: String, _ kind: SettingKind<Value>, default fallback: Value) -> Value {
        self.optional(key, kind) ?? fallback
    }

    // MARK: Structure

    /// What stands under `key` of this object; `nil` when nothing does, or `null`, or when this is no object.
    package func child(_ key: String, isSecret: Bool = false) -> SettingsNode? {
        guard let value = self.value[key], !value.isNull else { return nil }
        return self.node("\(self.path).\(key)", value, isSecret: isSecret)
    }

    /// The elements of this list; none, and a fault, when it is no list or too long.
    package func elements(limit: Int = 1_000) -> [SettingsNode] {
        guard let elements = self.value.array else {
            self.fault("wanted a list, [ … ]")
            return []
        }
        guard elements.count <= limit else {
            self.fault("has \(elements.count) elements, wanted at most \(limit)")
            return []
        }
        return elements.enumerated().map { self.node("\(self.path)[\($0)]", $1) }
    }

    /// The elements of the list under `key`; none when there is no such key.
    package func elements(_ key: String, limit: Int = 1_000) -> [SettingsNode] {
        self.child(key)?.elements(limit: limit) ?? []
    }

    /// The keys and values of this object, in their order; none, and a fault, when it is no object or too large.
    package func members(limit: Int = 1_000) -> [(key: String, node: SettingsNode)] {
        guard let members = self.value.object else {
            self.fault("wanted an object, { … }")
            return []
        }
        guard members.count <= limit else {
            self.fault("has \(members.count) keys, wanted at most \(limit)")
            return []
        }
        return members.map { ($0.key, self.node("\(self.path).\($0.key)", $0.value)) }
    }

    /// Says which keys this object may have. Each other one is a fault, with the nearest name; so is a key that stands
    /// twice, and a node that is no object.
    ///
    /// - Returns: whether it is an object.
    @discardableResult
    package func allow(_ keys: [String]) -> Bool {
        guard let members = self.value.object else {
            self.fault("wanted an object, { … }")
            return false
        }
        var seen: Set<String> = []
        for member in members {
            let node = self.node("\(self.path).\(member.key)", JSONValue(.null, offset: member.keyOffset))
            if !seen.insert(member.key).inserted {
                node.faultAtKey("stands twice; remove one")
            } else if !keys.contains(member.key) {
                node.faultAtKey(UnknownNames.note(NearestName.of(member.key, among: keys), known: keys))
            }
        }
        return true
    }

    private func node(_ path: String, _ value: JSONValue, isSecret: Bool = false) -> SettingsNode {
        var origin = self.origin
        if case .file(let name, _) = origin, let file = self.reader.file {
            origin = .file(name, line: file.line(of: value.offset))
        }
        return SettingsNode(path, value, origin, self.reader, isSecret: isSecret || self.isSecret)
    }

    // MARK: Faults

    /// Writes down that this value cannot be used.
    ///
    /// - Parameter note: what was wanted: "wanted 1 to 10 threads".
    package func fault(_ note: String) {
        let shown = self.isSecret ? SettingsText.hidden : SettingsText.shown(self.written)
        self.reader.fault(
            SettingsFault(
                place: self.origin.place, finding: "\(self.path) = \(shown)", note: note, line: self.origin.line))
    }

    /// Writes down what is wrong with this part as a whole, without showing it.
    package func note(_ note: String) { self.faultAtKey(note) }

    /// Writes down that `key` is missing in this object.
    package func missing(_ key: String, wanted: String) {
        self.reader.fault(
            SettingsFault(
                place: self.origin.place, finding: "\(self.path).\(key) is missing", note: "wanted \(wanted)",
                line: self.origin.line))
    }

    private func faultAtKey(_ note: String) {
        self.reader.fault(
            SettingsFault(place: self.origin.place, finding: self.path, note: note, line: self.origin.line))
    }

    // MARK: Secrets

    /// A text with each `${NAME}` filled in, anything else as it is.
    private static func resolved(
        _ value: JSONValue, path: String, origin: SettingsOrigin, _ environment: SettingsEnvironment
    ) throws(SettingsFault) -> JSONValue {
        guard let text = value.string else { return value }
        do throws(SecretError) {
            return JSONValue(.string(try environment.expand(text).text), offset: value.offset)
        } catch {
            var fault = SettingsFault(place: origin.place, finding: "", note: "", line: origin.line)
            switch error {
            case .unset(let name):
                fault.finding = "\(name) is not set"
                fault.note = "named by \(path); set it in the environment of the process"
            case .malformed:
                fault.finding = "\(path) has ${ without a variable's name"
                fault.note = "wanted ${NAME}; write $${ for ${ itself"
            }
            throw fault
        }
    }
}
