import JSON

extension SettingKind where Value == Bool {
    /// `true` or `false`; as text also `1` and `0`, `yes` and `no`, `on` and `off`.
    package static var bool: SettingKind<Bool> {
        let wanted = "true or false"
        return SettingKind(
            wanted: wanted,
            json: { json throws(SettingMismatch) in
                guard let value = json.bool else { throw SettingMismatch(wanted: wanted) }
                return value
            },
            text: { text throws(SettingMismatch) in
                switch text.lowercased() {
                case "true", "1", "yes", "on": return true
                case "false", "0", "no", "off": return false
                default: throw SettingMismatch(wanted: wanted)
                }
            },
            write: { JSONValue(.bool($0)) }
        )
    }
}

extension SettingKind where Value == Int {
    /// A whole number.
    ///
    /// - Parameters:
    ///   - range: the smallest and the largest.
    ///   - unit: what is counted, in the plural; of `bytes` also `"64KiB"` is read.
    package static func integer(in range: ClosedRange<Int>, unit: String = "") -> SettingKind<Int> {
        let words =
            range.upperBound == .max
            ? "a whole number, at least \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
        let wanted = unit.isEmpty ? words : "\(words) \(unit)"
        @Sendable func check(_ number: Int?) throws(SettingMismatch) -> Int {
            guard let number, range.contains(number) else { throw SettingMismatch(wanted: wanted) }
            return number
        }
        @Sendable func number(_ text: String) -> Int? {
            Int(text) ?? (unit == "bytes" ? ByteSize.bytes(text) : nil)
        }
        return SettingKind(
            wanted: wanted,
            json: { json throws(SettingMismatch) in
                if unit == "bytes", let text = json.string { return try check(number(text)) }
                return try check(json.integer.flatMap { Int(exactly: $0) })
            },
            text: { text throws(SettingMismatch) in try check(number(trimmed(text))) },
            write: { JSONValue(.integer(Int64($0))) }
        )
    }
}

extension SettingKind where Value == String {
    /// Any text.
    ///
    /// - Parameter wanted: what the text must be, in words; this kind checks only that it is text.
    package static func string(_ wanted: String = "a text") -> SettingKind<String> {
        SettingKind(
            wanted: wanted,
            json: { json throws(SettingMismatch) in
                guard let value = json.string else { throw SettingMismatch(wanted: "\(wanted), in quotation marks") }
                return value
            },
            text: { $0 },
            write: { JSONValue(.string($0)) }
        )
    }

    /// Any text.
    package static var string: SettingKind<String> { .string() }

    /// One of a few words.
    ///
    /// - Parameter other: what may stand there beside them, for the message; it is not read here.
    package static func oneOf(_ words: [String], or other: String? = nil) -> SettingKind<String> {
        let names = words.map { "\"\($0)\"" } + (other.map { [$0] } ?? [])
        let wanted =
            names.count > 1 ? names.dropLast().joined(separator: ", ") + " or \(names.last ?? "")" : names.joined()
        @Sendable func check(_ text: String?) throws(SettingMismatch) -> String {
            if let text, words.contains(text) { return text }
            let near = text.flatMap { NearestName.of($0, among: words) }
            throw SettingMismatch("wanted \(wanted)" + (near.map { "; did you mean \"\($0)\"?" } ?? ""))
        }
        return SettingKind(
            wanted: wanted,
            json: { json throws(SettingMismatch) in try check(json.string) },
            text: { text throws(SettingMismatch) in try check(trimmed(text)) },
            write: { JSONValue(.string($0)) }
        )
    }
}

extension SettingKind where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of the cases of an enumeration, by its raw value.
    package static var oneOf: SettingKind<Value> {
        let words = SettingKind<String>.oneOf(Value.allCases.map(\.rawValue))
        return words.converted { word in
            guard let value = Value(rawValue: word) else { throw SettingMismatch(wanted: words.wanted) }
            return value
        } back: {
            $0.rawValue
        }
    }
}

// MARK: Kinds that types have by themselves

/// A type whose values are read in one way unless something else is said; for parts of structured settings.
package protocol SettingValue: Sendable {
    static var settingKind: SettingKind<Self> { get }
}

extension Bool: SettingValue {
    package static var settingKind: SettingKind<Bool> { .bool }
}

extension Int: SettingValue {
    package static var settingKind: SettingKind<Int> { .integer(in: 0...(.max)) }
}

extension String: SettingValue {
    package static var settingKind: SettingKind<String> { .string }
}

extension Duration: SettingValue {
    package static var settingKind: SettingKind<Duration> { .duration(in: .zero...(.seconds(31_536_000))) }
}

extension Array: SettingValue where Element: SettingValue {
    package static var settingKind: SettingKind<[Element]> { Element.settingKind.list() }
}

/// Sizes as people write them.
enum ByteSize {
    private static let units: [(name: String, bytes: Int)] = [
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000),
        ("B", 1),
    ]

    /// `64KiB`, `1 MiB`, `2GB`; `nil` for anything else.
    static func bytes(_ text: String) -> Int? {
        for (name, size) in self.units where text.hasSuffix(name) {
            guard let number = Int(trimmed(text.dropLast(name.count))) else { return nil }
            let (bytes, isTooLarge) = number.multipliedReportingOverflow(by: size)
            return isTooLarge ? nil : bytes
        }
        return nil
    }
}
