package import JSON
import NIOCore

/// How values are shown: short, and without secrets.
package enum SettingsText {
    static let hidden = "(hidden)"
    /// Keys of structured settings whose values are secrets.
    private static let secretKeys: Set<String> = [
        "secret", "secrets", "secret_key", "secret_keys", "key", "keys", "password", "token",
        "symmetric_encryption_keys",
    ]

    package static func json(_ value: JSONValue) -> String {
        var buffer = ByteBuffer()
        var style = JSONStyle.python
        style.escapesNonASCII = false
        buffer.writeJSON(value, style: style)
        return String(buffer: buffer)
    }

    /// For an error: JSON of bounded length.
    static func shown(_ value: JSONValue) -> String { self.cut(self.json(self.redacted(value))) }

    /// For an error: text of bounded length, without control characters.
    static func shown(_ text: String) -> String {
        self.cut(self.withoutPassword(String(text.map { $0.isNewline || ($0.asciiValue ?? 32) < 32 ? " " : $0 })))
    }

    private static func cut(_ text: String) -> String { text.count > 48 ? text.prefix(45) + "…" : text }

    static func isEmpty(_ value: JSONValue) -> Bool {
        switch value.kind {
        case .null: true
        case .array(let elements): elements.isEmpty
        case .string(let text): text.isEmpty
        default: false
        }
    }

    /// The same tree with secrets hidden: under the names of secrets, and passwords in addresses. What only names a
    /// variable, `${NAME}`, is shown. Depth is bounded by the parser.
    package static func redacted(_ value: JSONValue) -> JSONValue {
        switch value.kind {
        case .string(let text): JSONValue(.string(self.withoutPassword(text)))
        case .array(let elements): JSONValue(.array(elements.map(self.redacted)))
        case .object(let members):
            JSONValue(
                .object(
                    members.map { member in
                        var member = member
                        member.value =
                            self.secretKeys.contains(member.key)
                            ? self.masked(member.value) : self.redacted(member.value)
                        return member
                    }))
        default: value
        }
    }

    private static func masked(_ value: JSONValue) -> JSONValue {
        switch value.kind {
        case .string(let text): JSONValue(.string(text.hasPrefix("${") && text.hasSuffix("}") ? text : self.hidden))
        case .array(let elements): JSONValue(.array(elements.map(self.masked)))
        case .object: self.redacted(value)
        default: value
        }
    }

    /// `amqp://user:password@host` without the password.
    private static func withoutPassword(_ text: String) -> String {
        guard let scheme = text.firstRange(of: "://") else { return text }
        let authority = text[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        // A password may hold "@" itself; the host begins after the last one.
        guard let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") else {
            return text
        }
        let password = authority[authority.index(after: colon)..<at]
        guard !(password.hasPrefix("${") && password.hasSuffix("}")) else { return text }
        return text[...colon] + self.hidden + text[at...]
    }
}
