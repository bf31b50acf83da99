package import JSON

/// A part of the settings file with a shape of its own. Faults are noted with the reader, with their place in the file.
package struct SettingsNode {
    package let value: JSONValue
    /// `gateway.routes[0].rules[1]`.
    package let path: String
    private let reader: SettingsReader

    init(value: JSONValue, path: String, reader: SettingsReader) {
        self.value = value
        self.path = path
        self.reader = reader
    }

    /// Where it stands, `settings.json:14`.
    package var place: String { self.reader.place(self.value.offset) }

    /// Notes a fault of this part.
    package func note(_ message: String) { self.reader.note(place: self.place, "\(self.path) \(message)") }

    // MARK: Objects

    /// Notes every key that is none of `keys`, and a value that is no object.
    package func allow(_ keys: [String]) {
        guard let members = self.value.object else {
            self.note("is no object; wanted one with " + keys.joined(separator: ", "))
            return
        }
        for member in members where !keys.contains(member.key) {
            let near = Nearest.name(to: member.key, among: keys).map { "; did you mean \($0)?" }
            self.reader.note(
                place: self.reader.place(member.keyOffset),
                "\(self.path).\(member.key) is no setting\(near ?? "; there are " + keys.joined(separator: ", "))")
        }
    }

    /// The part under `key`; `nil` when there is none, or `null`.
    package func child(_ key: String) -> SettingsNode? {
        guard let value = self.value[key], !value.isNull else { return nil }
        return SettingsNode(value: value, path: self.path + "." + key, reader: self.reader)
    }

    /// The value under `key`; `nil`, noted, when it is missing or something else.
    package func required<Value: SettingValue>(_ key: String, _ type: Value.Type = Value.self) -> Value? {
        guard self.value[key] != nil else {
            self.note("has no \(key); wanted \(Value.wanted)")
            return nil
        }
        return self.optional(key, type)
    }

    /// The value under `key`; `nil` when it is missing, and, noted, when it is something else.
    package func optional<Value: SettingValue>(_ key: String, _ type: Value.Type = Value.self) -> Value? {
        self.child(key)?.read(type)
    }

    /// This part as a value; `nil`, noted, when it is something else.
    package func read<Value: SettingValue>(_ type: Value.Type = Value.self) -> Value? {
        guard let value = Value.read(self.value) else {
            self.note("wanted \(Value.wanted)")
            return nil
        }
        return value
    }

    /// One of a few words under `key`.
    package func oneOf<Value: RawRepresentable & CaseIterable>(_ key: String, _ type: Value.Type) -> Value?
    where Value.RawValue == String {
        guard let child = self.child(key), let word: String = child.read() else { return nil }
        guard let value = Value(rawValue: word) else {
            child.note("= \"\(word.prefix(60))\"   wanted one of " + Value.allCases.map(\.rawValue).joined(separator: ", "))
            return nil
        }
        return value
    }

    // MARK: Lists

    /// The parts of a list; empty, noted, when it is none or has more than `limit`.
    package func elements(limit: Int = 10_000) -> [SettingsNode] {
        guard let elements = self.value.array, elements.count <= limit else {
            self.note("wanted a list of at most \(limit)")
            return []
        }
        return elements.enumerated().map { index, value in
            SettingsNode(value: value, path: "\(self.path)[\(index)]", reader: self.reader)
        }
    }

    /// The members of an object with free keys.
    package func members() -> [(key: String, node: SettingsNode)] {
        (self.value.object ?? []).map { member in
            (member.key, SettingsNode(value: member.value, path: self.path + "." + member.key, reader: self.reader))
        }
    }
}
