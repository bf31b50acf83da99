/// Who is in which group, as one process knows it. A value without a lock.
package struct PresenceState {
    private struct Table {
        var clients: [String: Presence] = [:]
        /// Connections of each user.
        var users: [String: Int] = [:]

        mutating func remove(_ client: String) {
            guard let presence = self.clients.removeValue(forKey: client) else { return }
            let left = (self.users[presence.user] ?? 1) - 1
            self.users[presence.user] = left > 0 ? left : nil
        }
    }

    private var tables: [GroupName: Table] = [:]

    package init() {}

    /// Groups in which somebody is, for tests of what is let go.
    package var count: Int { self.tables.count }

    package mutating func add(_ presence: Presence, in group: GroupName) {
        self.tables[group, default: Table()].remove(presence.client)
        self.tables[group, default: Table()].clients[presence.client] = presence
        self.tables[group, default: Table()].users[presence.user, default: 0] += 1
    }

    package mutating func remove(_ client: String, from group: GroupName) {
        self.tables[group]?.remove(client)
        if self.tables[group]?.clients.isEmpty == true { self.tables[group] = nil }
    }

    package mutating func removeAll() { self.tables = [:] }

    package func list(_ group: GroupName) -> [Presence] { self.tables[group].map { Array($0.clients.values) } ?? [] }

    package func stats(_ group: GroupName) -> PresenceStats {
        let table = self.tables[group]
        return PresenceStats(clients: table?.clients.count ?? 0, users: table?.users.count ?? 0)
    }
}
