import ChannelLayer

/// The answer to one command.
struct ClientReply: Equatable, Sendable {
    /// The command's.
    var id: UInt32
    var result: Result

    enum Result: Equatable, Sendable {
        case error(ClientError)
        case connect(ClientConnected)
        case subscribe(ClientSubscribed)
        case unsubscribe
        case publish
        /// By connection.
        case presence([String: ClientInfo])
        case presenceStats(clients: UInt32, users: UInt32)
        /// - top: the position of the stream's newest publication.
        case history([ClientPublication], top: StreamPosition)
        case rpc(ClientData?)
        /// - ttl: seconds until the next refresh; `nil` when none is needed.
        case refresh(client: String, ttl: UInt32?)
        case refreshSubscription(ttl: UInt32?)
    }

    init(_ id: UInt32, _ result: Result) {
        self.id = id
        self.result = result
    }
}

/// What a connection is told of itself.
struct ClientConnected: Equatable, Sendable {
    var client: String
    /// Seconds until the browser must send a new token; `nil` when it need not.
    var ttl: UInt32?
    /// Of the application that let it in.
    var data: ClientData?
    /// The channels that it need not ask for.
    var subscriptions: [String: ClientSubscribed] = [:]
    /// Seconds between pings; `nil` when there are none that the browser would see.
    var ping: UInt32?
    /// It must answer them.
    var wantsPong = false
    /// What it names in requests beside its stream; empty where there are none.
    var session = ""
    /// Which gateway it is connected to; empty like the session.
    var node = ""
    /// Milliseconds since 1970.
    var time: Int64?

    /// SDKs want a text here that is not empty, and strangers need not know which release it is.
    static let version = "carillon"

    init(client: String, ttl: UInt32? = nil, ping: UInt32? = nil) {
        self.client = client
        self.ttl = ttl
        self.ping = ping
        self.wantsPong = ping != nil
    }
}

/// A subscription that has begun.
struct ClientSubscribed: Equatable, Sendable {
    /// Seconds until the browser must send a new token for it; `nil` when it need not.
    var ttl: UInt32?
    /// What is missed can be had again.
    var isRecoverable = false
    /// Its position is watched.
    var isPositioned = false
    /// Where it begins: of one that has recovered what it missed the position of before.
    var position: StreamPosition?
    /// What it missed, the oldest first.
    var publications: [ClientPublication] = []
    /// The same in place of them, where others have missed the same and it is written already.
    var written: WrittenPublications?
    /// They are all that it missed.
    var isRecovered = false
    /// It asked for what it missed.
    var wasRecovering = false
    var data: ClientData?
    /// Publications may be patches for those before them.
    var isDelta = false
    /// Stands for the channel's name in pushes; 0 when the name does.
    var number: Int64 = 0

    init() {}
}
