import JSON

/// The declarations as text for people.
package enum SettingsPage {
    /// The page `docs/settings.md`.
    package static func markdown(_ sections: [(title: String, settings: [any AnySetting])]) -> String {
        var page = """
            # Settings

            Made by `carillon settings --markdown` from the declarations in the code; do not edit it by hand.

            A setting is given by a flag (`--set gateway.slice=500`, and some have flags of their own), else by an
            environment variable, else in the settings file (`--settings FILE` or `CARILLON_SETTINGS`), else it has its
            default. `carillon settings` shows which counts, `carillon check FILE` lists every fault of a file at once.

            In the file a name's dots are levels: `workers.threads` is `{"workers": {"threads": 8}}`. A text there may hold
            `${NAME}`, which the environment fills in; `$${` stands for `${`. Times are `"250ms"`, `"30s"`, `"5m"`, `"1h"`,
            `"1d"` (a number alone is seconds); bytes are a number or `"64KiB"`, `"1MiB"`. In the environment, a list is
            separated by commas, and a structured setting is JSON text.

            """
        for (title, settings) in sections {
            page += "\n## \(title)\n"
            for setting in settings { page += "\n" + self.entry(setting) }
        }
        return page.hasSuffix("\n") ? String(page.dropLast()) : page
    }

    private static func entry(_ setting: any AnySetting) -> String {
        let isEmpty = SettingsText.isEmpty(setting.defaultJSON) && !setting.defaultJSON.isList
        var entry = "### `\(setting.name)`\n\n\(setting.help)\n\n"
        entry += "- wanted: \(setting.wanted)\(setting.isSecret ? "; a secret, never shown" : "")\n"
        entry += "- default: \(isEmpty ? "none" : "`\(SettingsText.json(setting.defaultJSON))`")\n"
        if let example = setting.example { entry += "- for example: `\(example)`\n" }
        return entry + "- environment: `\(setting.environmentName)`\n" + self.table(setting.parts)
    }

    private static func table(_ parts: [SettingPart]) -> String {
        guard !parts.isEmpty else { return "" }
        return parts.reduce(into: "\n| key | wanted | default | |\n|---|---|---|---|\n") { table, part in
            let wanted = part.wanted.split(separator: "|").joined(separator: "\\|")
            table += "| `\(part.name)` | \(wanted) | `\(part.defaultText)` | \(part.help) |\n"
        }
    }

    /// A line of an env file: the variable with the value in force; a comment when it is a secret.
    package static func variable(_ reading: SettingReading) -> String {
        let name = reading.setting.environmentName
        guard !reading.setting.isSecret else { return "# \(name)=\(SettingsText.hidden)" }
        let text = self.text(SettingsText.redacted(reading.value))
        let isPlain = text.utf8.allSatisfy {
            $0.isLetterOrDigit
                || [
                    UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: ":"),
                    UInt8(ascii: ","),
                ].contains($0)
        }
        return isPlain
            ? "\(name)=\(text)"
            : "\(name)='\(text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''"))'"
    }

    private static func text(_ value: JSONValue) -> String {
        switch value.kind {
        case .string(let text): text
        case .array(let elements) where elements.allSatisfy { $0.string != nil }:
            elements.compactMap(\.string).joined(separator: ",")
        case .null: ""
        default: SettingsText.json(value)
        }
    }
}

extension JSONValue {
    fileprivate var isList: Bool { self.array != nil }
}

extension UInt8 {
    fileprivate var isLetterOrDigit: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
