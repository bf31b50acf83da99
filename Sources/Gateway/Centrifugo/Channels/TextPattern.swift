import Glibc

/// A POSIX extended regular expression, with `\d` for a digit too. It is found anywhere in a text, unless `^` and `$` say
/// more.
///
/// Not Swift's own: names come from strangers, and the C library's automaton takes no exponential time over them.
///
/// `@unchecked Sendable`: the compiled pattern is never written again, and `regexec` may be called from any thread.
package final class TextPattern: Hashable, @unchecked Sendable, CustomStringConvertible {
    package let text: String
    private var compiled = regex_t()

    /// - Throws: what is wrong with the pattern.
    package init(_ text: String) throws(RouteError) {
        self.text = text
        guard text.utf8.count <= 1_000, !text.utf8.contains(0) else {
            throw RouteError("a pattern has at most 1000 characters")
        }
        let status = regcomp(&self.compiled, Self.posix(text), REG_EXTENDED | REG_NOSUB)
        guard status == 0 else {
            var message = [CChar](repeating: 0, count: 200)
            regerror(status, &self.compiled, &message, message.count)
            let said = String(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            // What failed to compile holds nothing to be freed, and the deinitializer does that to an empty one.
            self.compiled = regex_t()
            throw RouteError("\"\(text)\" is no regular expression: \(said)")
        }
    }

    deinit { regfree(&self.compiled) }

    package func matches(_ text: some StringProtocol) -> Bool {
        guard !text.utf8.contains(0) else { return false }
        return withUnsafePointer(to: self.compiled) { regexec($0, String(text), 0, nil, 0) == 0 }
    }

    package var description: String { self.text }
    package static func == (one: TextPattern, other: TextPattern) -> Bool { one.text == other.text }
    package func hash(into hasher: inout Hasher) { hasher.combine(self.text) }

    /// `\d` as POSIX has it, in brackets and outside; an escaped backslash is none.
    private static func posix(_ text: String) -> String {
        var result = ""
        var isEscaped = false
        var isInBrackets = false
        for character in text {
            if isEscaped {
                result += character == "d" ? (isInBrackets ? "0-9" : "[0-9]") : "\\\(character)"
                isEscaped = false
                continue
            }
            isEscaped = character == "\\"
            guard !isEscaped else { continue }
            if character == "[" { isInBrackets = true }
            if character == "]" { isInBrackets = false }
            result.append(character)
        }
        return isEscaped ? result + "\\" : result
    }
}
