/// What `/api/info` tells of one node: a process that holds browsers' sockets, or that could.
public struct NodeInfo: Sendable, Equatable {
    /// Made anew at each start.
    public var uid: String
    /// For people: host and port, for example.
    public var name: String
    public var version: String
    /// Connections, and the users and groups behind them; a user or group counts once.
    public var clients: Int
    public var users: Int
    public var channels: Int
    /// Pairs of a connection and a group it follows.
    public var subscriptions: Int
    /// Seconds since the start.
    public var uptime: Int

    public init(
        uid: String, name: String, version: String, clients: Int = 0, users: Int = 0, channels: Int = 0,
        subscriptions: Int = 0, uptime: Int = 0
    ) {
        self.uid = uid
        self.name = name
        self.version = version
        self.clients = clients
        self.users = users
        self.channels = channels
        self.subscriptions = subscriptions
        self.uptime = uptime
    }
}
