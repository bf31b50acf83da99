/// Settings and secrets from environment variables.
package struct SettingsEnvironment: Sendable {
    package static let prefix = "CARILLON_"
    let variables: [String: String]

    package init(_ variables: [String: String]) { self.variables = variables }

    package subscript(name: String) -> String? { self.variables[name] }

    /// `gateway.send_queue_limit` is given by `CARILLON_GATEWAY_SEND_QUEUE_LIMIT`.
    package static func name(of setting: String) -> String {
        self.prefix + String(setting.uppercased().map { $0 == "." ? "_" : $0 })
    }

    /// Puts the values of variables in the place of each `${NAME}`; `$${` stands for `${` itself.
    ///
    /// - Returns: the text, and the names that were used.
    /// - Throws: the name that is not set, or what is no name.
    func expand(_ text: String) throws(SecretError) -> (text: String, names: [String]) {
        guard text.contains("${") else { return (text, []) }
        var result = ""
        var names: [String] = []
        var rest = text[...]
        while let dollar = rest.firstIndex(of: "$") {
            result += rest[..<dollar]
            rest = rest[dollar...]
            if rest.hasPrefix("$${") {
                result += "${"
                rest = rest.dropFirst(3)
            } else if rest.hasPrefix("${") {
                let inside = rest.dropFirst(2)
                guard let end = inside.firstIndex(of: "}"), Self.isName(inside[..<end]) else { throw .malformed }
                let name = String(inside[..<end])
                guard let value = self.variables[name] else { throw .unset(name) }
                names.append(name)
                result += value
                rest = inside[inside.index(after: end)...]
            } else {
                result += "$"
                rest = rest.dropFirst()
            }
        }
        return (result + rest, names)
    }

    private static func isName(_ text: Substring) -> Bool {
        guard let first = text.first, first.isASCII, first.isLetter || first == "_" else { return false }
        return text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
    }
}

/// Why a text with `${NAME}` could not be filled in.
enum SecretError: Error, Equatable {
    case unset(String)
    case malformed
}
