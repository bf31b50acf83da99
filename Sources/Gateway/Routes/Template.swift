package import ChannelLayer

/// A text with variables: `updates-{user}`.
///
/// `{NAME}` is a capture of the route's path, `{user}` the user's id, `{query.NAME}` an item of the query,
/// `{claims.NAME}` something the authentication told. Everything else stands for itself.
package struct Template: Hashable, Sendable {
    package enum Variable: Hashable, Sendable {
        /// A capture, by its place.
        case capture(Int)
        case query(String)
        case user
        case claim(String)
    }

    private enum Part: Hashable, Sendable {
        case literal(String)
        case variable(Variable)
    }

    /// Names that no capture may have.
    static let reservedNames: Set<String> = ["user", "query", "claims"]

    /// As it was written.
    package let text: String
    private let parts: [Part]

    /// - Parameter captures: the names the route's path captures (`PathPattern.captureNames`).
    /// - Throws: an unknown variable by its name, or a brace that has no partner.
    package init(_ text: String, captures: [String]) throws(RouteError) {
        self.text = text
        var parts: [Part] = []
        var rest = text[...]
        while let open = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
            guard rest[open] == "{", let close = rest[open...].firstIndex(of: "}") else {
                throw RouteError("\"\(text)\" has a brace without a partner, wanted for example \"updates-{user}\"")
            }
            if open > rest.startIndex { parts.append(.literal(String(rest[..<open]))) }
            let name = rest[rest.index(after: open)..<close]
            parts.append(.variable(try Self.variable(name, captures: captures)))
            rest = rest[rest.index(after: close)...]
        }
        if !rest.isEmpty { parts.append(.literal(String(rest))) }
        self.parts = parts
    }

    private static func variable(_ name: Substring, captures: [String]) throws(RouteError) -> Variable {
        if name == "user" { return .user }
        if let place = captures.firstIndex(where: { $0 == name }) { return .capture(place) }
        if name.hasPrefix("query."), name.utf8.count > 6 { return .query(String(name.dropFirst(6))) }
        if name.hasPrefix("claims."), name.utf8.count > 7 { return .claim(String(name.dropFirst(7))) }
        let known = captures.map { "{\($0)}" } + ["{user}", "{query.NAME}", "{claims.NAME}"]
        throw RouteError("{\(name)} is unknown here, wanted one of \(known.joined(separator: " "))")
    }

    /// Letters, digits and `_`, at least one.
    static func isName(_ text: Substring) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    /// The variables it uses, in order.
    package var variables: [Variable] {
        self.parts.compactMap { if case .variable(let variable) = $0 { variable } else { nil } }
    }

    /// What is written between the variables, joined.
    var literals: String {
        self.parts.map { if case .literal(let text) = $0 { text } else { "" } }.joined()
    }

    /// The text for one connection.
    ///
    /// - Throws: the first variable that has no value. An empty one counts as none: `updates-` is nobody's group.
    package func text(for connection: TemplateValues) throws(RouteError) -> String {
        try self.text { variable throws(RouteError) in try connection.value(of: variable) }
    }

    /// The group name for one connection.
    ///
    /// - Throws: `invalidGroup`, for a missing variable and for a text that is no group name: the connection is refused.
    package func group(for connection: TemplateValues) throws(Refusal) -> GroupName {
        do {
            let group = try GroupName(self.text(for: connection))
            // What gateways tell each other is for no browser.
            guard !group.text.hasPrefix(ControlPost.groupPrefix) else {
                throw Refusal(.invalidGroup, "group template \"\(self.text)\": \(group) is the gateways' own")
            }
            return group
        } catch let refusal as Refusal {
            throw refusal
        } catch {
            throw Refusal(.invalidGroup, "group template \"\(self.text)\": \(error)")
        }
    }

    /// The path for one connection: values of variables are percent-encoded, also their slashes.
    ///
    /// - Throws: the first variable that has no value.
    package func path(for connection: TemplateValues) throws(RouteError) -> String {
        try self.text { variable throws(RouteError) in encodePercent(try connection.value(of: variable)) }
    }

    private func text(_ value: (Variable) throws(RouteError) -> String) throws(RouteError) -> String {
        var text = ""
        for part in self.parts {
            switch part {
            case .literal(let literal): text += literal
            case .variable(let variable): text += try value(variable)
            }
        }
        return text
    }
}

/// What the variables of templates stand for on one connection.
package struct TemplateValues {
    /// The captured segments in the order of the pattern.
    package var captures: [String]
    /// The handshake's query.
    package var query: (String) -> String?
    package var identity: Identity
    /// The text `{user}` has for anonymous visitors; `nil` refuses them where a template needs the user.
    package var anonymousUser: String?

    package init(
        captures: [String] = [], query: @escaping (String) -> String? = { _ in nil }, identity: Identity = .anonymous,
        anonymousUser: String? = nil
    ) {
        self.captures = captures
        self.query = query
        self.identity = identity
        self.anonymousUser = anonymousUser
    }

    fileprivate func value(of variable: Template.Variable) throws(RouteError) -> String {
        let (name, value): (String, String?) =
            switch variable {
            case .capture(let place): ("capture", self.captures.indices.contains(place) ? self.captures[place] : nil)
            case .query(let name): ("query item \"\(name)\"", self.query(name))
            case .user: ("user", self.identity.user ?? self.anonymousUser)
            case .claim(let name): ("claim \"\(name)\"", self.identity.claims[name])
            }
        guard let value, !value.isEmpty else { throw RouteError("the connection has no \(name)") }
        return value
    }
}

/// Everything but unreserved characters (RFC 3986 §2.3) as `%XX`.
func encodePercent(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var encoded: [UInt8] = []
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            encoded.append(byte)
        default:
            encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: encoded, as: UTF8.self)
}
