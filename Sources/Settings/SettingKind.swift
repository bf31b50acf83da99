package import JSON

/// What values of a setting look like: how they are read from a file or from text, how they are written, and how the
/// wish is put to a person.
package struct SettingKind<Value: Sendable>: Sendable {
    /// What a value must be, as the end of "wanted …": `4096 to 1073741824 bytes`.
    package let wanted: String
    private let readJSON: @Sendable (JSONValue) throws(SettingMismatch) -> Value
    private let readText: @Sendable (String) throws(SettingMismatch) -> Value
    private let writeJSON: @Sendable (Value) -> JSONValue

    /// - Parameters:
    ///   - wanted: what a value must be, as the end of "wanted …".
    ///   - json: reads a value as it stands in a file.
    ///   - text: reads a value as it stands in an environment variable or a flag.
    ///   - write: a value as it would stand in a file.
    package init(
        wanted: String,
        json: @escaping @Sendable (JSONValue) throws(SettingMismatch) -> Value,
        text: @escaping @Sendable (String) throws(SettingMismatch) -> Value,
        write: @escaping @Sendable (Value) -> JSONValue
    ) {
        self.wanted = wanted
        self.readJSON = json
        self.readText = text
        self.writeJSON = write
    }

    package func value(from json: JSONValue) throws(SettingMismatch) -> Value { try self.readJSON(json) }
    package func value(from text: String) throws(SettingMismatch) -> Value { try self.readText(text) }
    package func json(_ value: Value) -> JSONValue { self.writeJSON(value) }
}

/// Why something is no value of a kind.
package struct SettingMismatch: Error, Sendable {
    /// What would have been one, as a clause: "wanted 1 to 10 threads".
    package let note: String

    package init(_ note: String) { self.note = note }
    package init(wanted: String) { self.note = "wanted \(wanted)" }
}

// MARK: Making kinds from kinds

extension SettingKind {
    /// Values made of other values; what `make` throws is shown to the person as it describes itself.
    ///
    /// - Parameters:
    ///   - wanted: what a value must be; the base's words when left out.
    ///   - back: the base value that makes this one.
    package func converted<New: Sendable>(
        wanted: String? = nil, _ make: @escaping @Sendable (Value) throws -> New,
        back: @escaping @Sendable (New) -> Value
    ) -> SettingKind<New> {
        @Sendable func convert(_ value: Value) throws(SettingMismatch) -> New {
            do {
                return try make(value)
            } catch let mismatch as SettingMismatch {
                throw mismatch
            } catch {
                throw SettingMismatch("\(error)")
            }
        }
        return SettingKind<New>(
            wanted: wanted ?? self.wanted,
            json: { json throws(SettingMismatch) in try convert(self.value(from: json)) },
            text: { text throws(SettingMismatch) in try convert(self.value(from: text)) },
            write: { self.json(back($0)) }
        )
    }

    /// The same values, but `null` in a file, and nothing in an environment variable, mean that there is none.
    package var orNone: SettingKind<Value?> {
        SettingKind<Value?>(
            wanted: self.wanted,
            json: { json throws(SettingMismatch) in json.isNull ? nil : try self.value(from: json) },
            text: { text throws(SettingMismatch) in text.isEmpty ? nil : try self.value(from: text) },
            write: { $0.map(self.json) ?? JSONValue(.null) }
        )
    }

    /// A list: an array in a file, separated by commas in an environment variable.
    ///
    /// - Parameter atMost: elements.
    package func list(atMost limit: Int = 1_000) -> SettingKind<[Value]> {
        let wanted = "a list of \(self.wanted)"
        return SettingKind<[Value]>(
            wanted: wanted,
            json: { json throws(SettingMismatch) in
                guard let elements = json.array else { throw SettingMismatch(wanted: wanted) }
                guard elements.count <= limit else { throw SettingMismatch(wanted: "at most \(limit) elements") }
                var values: [Value] = []
                for element in elements { values.append(try self.value(from: element)) }
                return values
            },
            text: { text throws(SettingMismatch) in
                let parts = text.split(separator: ",").map(trimmed).filter { !$0.isEmpty }
                guard parts.count <= limit else { throw SettingMismatch(wanted: "at most \(limit) elements") }
                var values: [Value] = []
                for part in parts { values.append(try self.value(from: part)) }
                return values
            },
            write: { JSONValue(.array($0.map(self.json))) }
        )
    }
}

/// Without white space at either end.
func trimmed(_ text: some StringProtocol) -> String {
    let start = text.drop { $0.isWhitespace }
    return String(
        start.prefix(
            (start.lastIndex { !$0.isWhitespace }).map { start.distance(from: start.startIndex, to: $0) + 1 } ?? 0))
}
