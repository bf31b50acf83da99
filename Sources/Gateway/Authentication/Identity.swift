package import ChannelLayer

/// Who is on a connection, as its authentication found out.
package struct Identity: Hashable, Sendable {
    /// The user's id as text; `nil` for an anonymous visitor.
    package var user: String?
    /// Groups the authentication itself names, followed beside those of the route's templates.
    package var groups: [GroupName]
    /// What else is known, for templates: texts as they are, numbers and truth values as their JSON text. Nested values
    /// are left out.
    package var claims: [String: String]
    /// When the credentials end, in seconds since 1970; `nil` when they say nothing of it. The connection is not cut
    /// then by itself.
    package var expires: Int64?

    package init(
        user: String?, groups: [GroupName] = [], claims: [String: String] = [:], expires: Int64? = nil
    ) {
        self.user = user
        self.groups = groups
        self.claims = claims
        self.expires = expires
    }

    package static let anonymous = Identity(user: nil)
}
