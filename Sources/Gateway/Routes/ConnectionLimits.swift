package import HTTP1

/// How many connections are let in, and how much one of them may say.
package struct ConnectionLimits: Hashable, Sendable {
    /// Connections of the gateway.
    package var total: Int
    /// Connections from one address (of IPv6: from one /64). Unix sockets without a client address are not counted.
    package var perAddress: Int
    /// Connections of one user; anonymous visitors are not counted here.
    package var perUser: Int

    package init(total: Int = .max, perAddress: Int = .max, perUser: Int = .max) {
        self.total = total
        self.perAddress = perAddress
        self.perUser = perUser
    }
}

/// The connections that are open, counted against their limits. A value: whoever keeps it guards it.
///
/// A connection is admitted twice, by its address when the request head is there and by its user when that is known,
/// and released once with both.
package struct ConnectionCounts: Sendable {
    package let limits: ConnectionLimits
    package private(set) var total = 0
    private var byAddress: [IPAddress: Int] = [:]
    private var byUser: [String: Int] = [:]

    package init(limits: ConnectionLimits) { self.limits = limits }

    /// Different users that are connected.
    package var users: Int { self.byUser.count }

    /// Counts a connection by its address.
    ///
    /// - Throws: `totalLimit` or `addressLimit`; nothing was counted then.
    package mutating func admit(_ address: IPAddress?) throws(Refusal) {
        guard self.total < self.limits.total else {
            throw Refusal(.totalLimit, "\(self.total) connections are open, as many as the gateway may have")
        }
        if let key = address?.limitKey {
            let count = self.byAddress[key, default: 0]
            guard count < self.limits.perAddress else {
                throw Refusal(
                    .addressLimit, "\(count) connections from \(key) are open, as many as one address may have")
            }
            self.byAddress[key] = count + 1
        }
        self.total += 1
    }

    /// Counts an admitted connection by its user.
    ///
    /// - Throws: `userLimit`; the connection is still counted by its address, and released without a user.
    package mutating func admit(user: String) throws(Refusal) {
        let count = self.byUser[user, default: 0]
        guard count < self.limits.perUser else {
            throw Refusal(.userLimit, "\(count) connections of the user are open, as many as one user may have")
        }
        self.byUser[user] = count + 1
    }

    /// Counts a connection that another gateway has let in, whatever the limits say.
    package mutating func restore(_ address: IPAddress?, user: String?) {
        self.total += 1
        if let key = address?.limitKey { self.byAddress[key, default: 0] += 1 }
        if let user { self.byUser[user, default: 0] += 1 }
    }

    /// Forgets a connection.
    ///
    /// - Parameter user: the one it was admitted with, `nil` when it never was.
    package mutating func release(_ address: IPAddress?, user: String?) {
        self.total = max(self.total - 1, 0)
        if let key = address?.limitKey { Self.decrement(&self.byAddress, key) }
        if let user { Self.decrement(&self.byUser, user) }
    }

    /// Takes one away and forgets a key at zero, so that the table is never larger than what is open.
    private static func decrement<Key>(_ counts: inout [Key: Int], _ key: Key) {
        guard let count = counts[key] else { return }
        counts[key] = count > 1 ? count - 1 : nil
    }
}
