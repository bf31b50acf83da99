public import NIOCore

/// One client in a group.
public struct Presence: Sendable, Equatable {
    /// Its connection's name, which no other has.
    public var client: String
    /// Whose connection it is; empty for somebody without a name.
    public var user: String
    /// What others are told of it; the layer does not look inside.
    public var info: ByteBuffer

    public init(client: String, user: String, info: ByteBuffer) {
        self.client = client
        self.user = user
        self.info = info
    }
}

/// How many are in a group.
public struct PresenceStats: Sendable, Equatable {
    public var clients: Int
    /// Different users among them.
    public var users: Int

    public init(clients: Int, users: Int) {
        self.clients = clients
        self.users = users
    }
}
