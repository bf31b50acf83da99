/// The connections of one event loop by their user, for the server API's commands. It is touched when connections come and
/// go, and by commands.
struct ConnectionIndex {
    private var users: [String: [ObjectIdentifier: Session]] = [:]

    /// - Precondition: its user is known and will not change.
    mutating func add(_ session: Session) {
        self.users[Self.user(of: session), default: [:]][ObjectIdentifier(session)] = session
    }

    /// No harm when it is not there.
    mutating func remove(_ session: Session) {
        let user = Self.user(of: session)
        self.users[user]?[ObjectIdentifier(session)] = nil
        if self.users[user]?.isEmpty == true { self.users[user] = nil }
    }

    /// Those of a user; without one, those of all visitors without a user.
    func sessions(of user: String) -> [Session] { self.users[user].map { Array($0.values) } ?? [] }

    var all: some Sequence<Session> { self.users.values.lazy.flatMap(\.values) }

    private static func user(of session: Session) -> String { session.info.user ?? "" }
}
