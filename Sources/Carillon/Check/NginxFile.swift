/// One directive of an nginx configuration: `proxy_buffering off;`, or `location /channels/ { … }`.
struct NginxDirective: Equatable {
    let name: String
    let arguments: [String]
    /// What stands in its braces; empty when it has none.
    var block: [NginxDirective] = []
    /// From 1.
    let line: Int
}

/// Reads the syntax of nginx: words, quotation marks, comments, `;` and braces. Knows no directive, and follows no `include`.
enum NginxFile {
    /// nginx's own blocks are five deep at most.
    private static let maximumDepth = 32

    /// - Throws: `Finding` for a brace that is not closed, or closes nothing.
    static func parse(_ text: String, path: String) throws(Finding) -> [NginxDirective] {
        var tokens = Tokens(text)
        return try Self.block(&tokens, depth: 0, path: path)
    }

    private static func block(_ tokens: inout Tokens, depth: Int, path: String) throws(Finding) -> [NginxDirective] {
        guard depth < Self.maximumDepth else { throw Finding(path, tokens.line, "braces are nested too deep") }
        var directives: [NginxDirective] = []
        var words: [String] = []
        var line = 0
        while let token = tokens.next() {
            switch token {
            case .word(let word):
                if words.isEmpty { line = tokens.line }
                words.append(word)
            case .end:
                if let name = words.first {
                    directives.append(.init(name: name, arguments: Array(words.dropFirst()), line: line))
                }
                words = []
            case .open:
                let block = try Self.block(&tokens, depth: depth + 1, path: path)
                directives.append(
                    .init(name: words.first ?? "", arguments: Array(words.dropFirst()), block: block, line: line))
                words = []
            case .close:
                guard depth > 0 else { throw Finding(path, tokens.line, "a brace is closed that was never opened") }
                return directives
            }
        }
        guard depth == 0 else { throw Finding(path, tokens.line, "a brace is not closed") }
        return directives
    }

    private struct Tokens {
        enum Token { case word(String), end, open, close }

        private var rest: Substring.UnicodeScalarView
        private(set) var line = 1

        init(_ text: String) { self.rest = Substring(text).unicodeScalars }

        mutating func next() -> Token? {
            while let scalar = self.rest.first {
                switch scalar {
                case "\n", " ", "\t", "\r": self.skip()
                case "#": while let scalar = self.rest.first, scalar != "\n" { self.skip() }
                case ";", "{", "}":
                    self.skip()
                    return scalar == ";" ? .end : scalar == "{" ? .open : .close
                case "\"", "'": return .word(self.quoted(by: scalar))
                default: return .word(self.plain())
                }
            }
            return nil
        }

        private mutating func skip() {
            if self.rest.first == "\n" { self.line += 1 }
            self.rest.removeFirst()
        }

        private mutating func quoted(by mark: Unicode.Scalar) -> String {
            self.skip()
            var word = String.UnicodeScalarView()
            while let scalar = self.rest.first, scalar != mark {
                if scalar == "\\", self.rest.count > 1 { self.skip() }
                guard let scalar = self.rest.first else { break }
                word.append(scalar)
                self.skip()
            }
            if !self.rest.isEmpty { self.skip() }
            return String(word)
        }

        /// A word ends at white space, `;` or a brace; the braces of `${name}` are part of it.
        private mutating func plain() -> String {
            var word = String.UnicodeScalarView()
            var isVariable = false
            while let scalar = self.rest.first, scalar != "\n" {
                if scalar == "{", word.last == "$" { isVariable = true }
                guard isVariable || !" \t\r;{}".unicodeScalars.contains(scalar) else { break }
                if scalar == "}" { isVariable = false }
                word.append(scalar)
                self.skip()
            }
            return String(word)
        }
    }
}

/// Something an operator should mend, and where it stands.
struct Finding: Error, Equatable, CustomStringConvertible {
    let path: String
    /// From 1; `nil` when it is about the whole.
    let line: Int?
    let text: String

    init(_ path: String, _ line: Int?, _ text: String) {
        self.path = path
        self.line = line
        self.text = text
    }

    var description: String { "\(self.path)\(self.line.map { ":\($0)" } ?? ""): \(self.text)" }
}
