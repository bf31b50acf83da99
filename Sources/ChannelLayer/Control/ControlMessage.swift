package import NIOCore

/// What the processes of a site tell each other over the layer's group `carillon.control`: what is to be done with
/// connections wherever they are, questions that each gateway answers for itself, and which gateways there are.
///
/// Whatever comes from the layer is read with bounds (`init(_:)`), and what cannot be read changes nothing: whoever may
/// write to the broker can send anything.
package enum ControlMessage: Sendable, Equatable {
    /// For every gateway.
    case command(ControlCommand)
    /// For every gateway, which answers to a channel that only the asking process reads.
    case ask(id: UInt64, replyTo: ChannelName, SurveyQuestion)
    /// To that channel.
    case answer(id: UInt64, node: String, SurveyAnswer)
    /// A gateway is there, again and again.
    case announce(NodeState)
    /// A gateway has stopped.
    case leave(node: String)

    /// The group that gateways and workers follow. No channel of a browser can be called so.
    package static let group = GroupName(unchecked: "carillon.control")
    /// The type of all these messages, which are told apart by their `command`.
    package static let type = "carillon.control"

    /// What `command` says of those that come in the group.
    package enum Name: String, Sendable, CaseIterable {
        case subscribe, unsubscribe, disconnect, refresh, ask, announce, leave
    }
    static let answerName = "answer"
}

/// What is to be done with connections, wherever they are.
package enum ControlCommand: Sendable, Equatable {
    case subscribe(ConnectionSelector, ServerSubscription)
    /// An empty channel is all of them.
    case unsubscribe(ConnectionSelector, channel: String)
    case disconnect(ConnectionSelector, sparing: [String], code: UInt16, reason: String)
    case refresh(ConnectionSelector, ConnectionRefresh)
}

/// The connections of a user, or one of them.
package struct ConnectionSelector: Sendable, Hashable {
    /// Empty for the visitors without a user.
    package var user: String
    /// When not empty: the connection with this id alone.
    package var client: String
    /// When not empty: the connection with this session alone.
    package var session: String

    package init(user: String, client: String = "", session: String = "") {
        self.user = user
        self.client = client
        self.session = session
    }

    package func matches(user: String, client: String, session: String) -> Bool {
        self.user == user && (self.client.isEmpty || self.client == client)
            && (self.session.isEmpty || self.session == session)
    }
}

/// What the server subscribes connections to.
package struct ServerSubscription: Sendable, Equatable {
    package var channel: String
    /// JSON that others see of the subscriber in this channel.
    package var info: ByteBuffer?
    /// JSON that the subscriber gets with the push.
    package var data: ByteBuffer?
    /// Seconds since 1970; 0 for never.
    package var expires: Int64 = 0
    /// The position to recover from.
    package var since: (offset: UInt64, epoch: String)?
    /// A JSON object: options of the namespace that are others here, as tokens have them.
    package var override: ByteBuffer?

    package init(channel: String) { self.channel = channel }

    package static func == (one: Self, other: Self) -> Bool {
        one.channel == other.channel && one.info == other.info && one.data == other.data
            && one.expires == other.expires && one.since?.offset == other.since?.offset
            && one.since?.epoch == other.since?.epoch && one.override == other.override
    }
}

/// A longer life for connections, or its end.
package struct ConnectionRefresh: Sendable, Equatable {
    /// They are closed with 3005.
    package var isExpired = false
    /// Seconds since 1970; 0 for never.
    package var expires: Int64 = 0
    /// JSON that others see of the connection from now on; `nil` leaves it as it is.
    package var info: ByteBuffer?

    package init() {}
}

/// What each gateway is asked about its own connections.
package enum SurveyQuestion: Sendable, Equatable {
    /// What it is and holds: a `NodeState`.
    case node
    /// Its channels with followers; the pattern is a glob, and empty for all.
    case channels(pattern: String)
    /// Its connections of a user; of everybody when there is none.
    case connections(user: String?)
    /// Who follows a channel there.
    case presence(channel: String)
}

/// What one gateway answers.
package enum SurveyAnswer: Sendable, Equatable {
    case node(NodeState)
    /// How many connections follow each.
    case channels([String: Int])
    /// A JSON object for each client id: of `connections` and of `presence`.
    case clients([String: ByteBuffer])

    /// Channels or clients in an answer at most. What is beyond is not told.
    package static let limit = 100_000
}

/// A gateway: who it is, and what it holds at the moment.
package struct NodeState: Sendable, Equatable {
    /// Made anew at each start.
    package var uid: String
    /// For people: host and port, for example.
    package var name: String
    package var version: String
    /// Connections, and the users and groups behind them; a user or group counts once.
    package var clients = 0
    package var users = 0
    package var channels = 0
    /// Pairs of a connection and a group it follows.
    package var subscriptions = 0
    /// Seconds since the start.
    package var uptime = 0

    package init(uid: String, name: String, version: String) {
        self.uid = uid
        self.name = name
        self.version = version
    }
}
