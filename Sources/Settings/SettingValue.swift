package import JSON

/// A type that a setting can have: how it is read from a file and from text (a flag, an environment variable), and shown.
package protocol SettingValue: Sendable, Equatable {
    /// From the settings file; `nil` when it is something else.
    static func read(_ json: JSONValue) -> Self?
    /// From a flag or an environment variable.
    static func read(_ text: String) -> Self?
    /// As it would be written in the file.
    var shown: String { get }
    /// What is wanted, for errors and docs: "true or false", "a number", …
    static var wanted: String { get }
}

extension Bool: SettingValue {
    package static func read(_ json: JSONValue) -> Bool? { json.bool }
    package static func read(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "1", "yes", "on": true
        case "false", "0", "no", "off": false
        default: nil
        }
    }
    package var shown: String { self ? "true" : "false" }
    package static var wanted: String { "true or false" }
}

extension Int: SettingValue {
    package static func read(_ json: JSONValue) -> Int? {
        json.integer.flatMap { Int(exactly: $0) } ?? json.string.flatMap(Self.read)
    }
    /// A number, or a number of bytes with its unit: `64KiB`, `1MiB`, `2GiB`.
    package static func read(_ text: String) -> Int? {
        if let number = Int(text) { return number }
        let units: [(String, Int)] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]
        for (unit, size) in units where text.hasSuffix(unit) {
            guard let number = Int(text.dropLast(3)) else { return nil }
            let (bytes, overflow) = number.multipliedReportingOverflow(by: size)
            return overflow ? nil : bytes
        }
        return nil
    }
    package var shown: String { String(self) }
    package static var wanted: String { "a whole number" }
}

extension String: SettingValue {
    package static func read(_ json: JSONValue) -> String? { json.string }
    package static func read(_ text: String) -> String? { text }
    package var shown: String { "\"\(self)\"" }
    package static var wanted: String { "a text" }
}

extension [String]: SettingValue {
    package static func read(_ json: JSONValue) -> [String]? {
        guard let elements = json.array else { return nil }
        let texts = elements.compactMap(\.string)
        return texts.count == elements.count ? texts : nil
    }
    /// Separated by commas.
    package static func read(_ text: String) -> [String]? {
        text.split(separator: ",").map { String($0.drop { $0 == " " }) }
    }
    package var shown: String { "[" + self.map(\.shown).joined(separator: ", ") + "]" }
    package static var wanted: String { "a list of texts" }
}

extension Duration: SettingValue {
    /// A number of seconds, or a text with a unit.
    package static func read(_ json: JSONValue) -> Duration? {
        json.integer.flatMap { (0...1_000_000_000).contains($0) ? .seconds($0) : nil } ?? json.string.flatMap(Self.read)
    }
    /// `250ms`, `30s`, `5m`, `1h`, `1d`; without a unit seconds.
    package static func read(_ text: String) -> Duration? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int64(digits), number <= 1_000_000_000 else { return nil }
        switch text.dropFirst(digits.count) {
        case "ms": return .milliseconds(number)
        case "", "s": return .seconds(number)
        case "m": return .seconds(number * 60)
        case "h": return .seconds(number * 3600)
        case "d": return .seconds(number * 86_400)
        default: return nil
        }
    }
    package var shown: String {
        let (seconds, attoseconds) = self.components
        guard attoseconds == 0 else { return "\"\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms\"" }
        return "\"\(seconds)s\""
    }
    package static var wanted: String { "a time such as \"30s\", \"5m\" or \"250ms\"" }

    /// Whole seconds, rounded up.
    package var wholeSeconds: Int {
        let (seconds, attoseconds) = self.components
        return Int(clamping: seconds) + (attoseconds > 0 ? 1 : 0)
    }
}
