/// How long an answer counts, by its `Cache-Control` (RFC 9111 section 5.2.2).
enum ProxyFreshness {
    /// No answer is kept longer, whatever the application says.
    static let limit = 3_600

    /// - Returns: seconds; 0 when it is not to be kept.
    static func seconds(_ values: [String]) -> Int {
        var age = 0
        for directive in values.joined(separator: ",").split(separator: ",") {
            let parts = directive.split(separator: "=", maxSplits: 1)
            let name = parts.first.map { Self.trimmed($0).lowercased() }
            switch name {
            case "no-store", "no-cache": return 0
            case "max-age":
                let value = parts.count > 1 ? Self.trimmed(parts[1]).filter { $0 != "\"" } : ""
                age = Int(value) ?? 0
            default: break
            }
        }
        return min(max(age, 0), Self.limit)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
