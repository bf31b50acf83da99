package import HTTP1

/// `If-None-Match` and `If-Modified-Since` (RFC 9110 section 13).
package enum Preconditions {
    /// Whether the client has this version already.
    package static func isUnchanged(tag: String, modified: Int?, _ fields: HeaderFields) -> Bool {
        let tags = fields.values("If-None-Match")
        if !tags.isEmpty {
            return tags.flatMap { $0.split(separator: ",") }.contains { entry in
                var entry = entry.drop { $0 == " " || $0 == "\t" }
                while entry.last == " " || entry.last == "\t" { entry.removeLast() }
                if entry.hasPrefix("W/") { entry = entry.dropFirst(2) }
                return entry == "*" || entry == tag
            }
        }
        guard let modified, let text = fields["If-Modified-Since"], let since = HTTPDate.seconds(text) else {
            return false
        }
        return modified <= since
    }
}
