import ChannelLayer
import JSON
import NIOCore

/// What a JSON object says of a user: an answer of a worker, a session of Django.
struct IdentityFacts {
    /// Texts, numbers and truth values at the top, as texts.
    private(set) var scalars: [String: String] = [:]
    /// The names under `groups`.
    private(set) var groups: [GroupName] = []
    /// What of the object under `claims` is a text, number or truth value.
    private(set) var claims: [String: String] = [:]

    /// - Throws: `JSONError` for what is no JSON object nested at most 16 levels; `Refusal` for groups that are none.
    init(_ body: ByteBuffer) throws {
        let json = try JSONValue(parsing: body, options: .init(depth: 16))
        guard let members = json.object else { throw JSONError("expected an object", at: json.offset) }
        self.scalars = Self.scalars(members)
        if let claims = json["claims"], !claims.isNull {
            guard let members = claims.object else { throw JSONError("claims: expected an object", at: claims.offset) }
            self.claims = Self.scalars(members)
        }
        if let groups = json["groups"], !groups.isNull {
            let names = groups.array?.compactMap(\.string)
            guard let names, names.count == groups.array?.count else {
                throw JSONError("groups: expected a list of texts", at: groups.offset)
            }
            self.groups = try names.groupNames()
        }
    }

    private static func scalars(_ members: [JSONValue.Member]) -> [String: String] {
        var scalars: [String: String] = [:]
        for member in members { scalars[member.key] = member.value.scalarText }
        return scalars
    }
}

extension JSONValue {
    /// A text as it is, a number or truth value as its JSON text; `nil` for the rest.
    var scalarText: String? {
        switch self.kind {
        case .string(let text): text
        case .integer(let number): String(number)
        case .unsigned(let number): String(number)
        case .double(let number): "\(number)"
        case .bool(let value): value ? "true" : "false"
        case .null, .array, .object: nil
        }
    }
}

extension [String] {
    /// The names as groups, at most 100.
    ///
    /// - Throws: `invalidGroup`, for the first that is none.
    func groupNames() throws(Refusal) -> [GroupName] {
        guard self.count <= 100 else { throw Refusal(.invalidGroup, "\(self.count) groups, wanted at most 100") }
        var names: [GroupName] = []
        for text in self {
            do {
                names.append(try GroupName(text))
            } catch {
                throw Refusal(.invalidGroup, "\(error)")
            }
        }
        return names
    }
}
