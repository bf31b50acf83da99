import ChannelLayer

/// What a browser is told without having asked.
struct ClientPush: Equatable, Sendable {
    /// Empty for what is about the connection.
    var channel = ""
    /// Stands for the channel's name where that was agreed on; 0 otherwise.
    var number: Int64 = 0
    var event: Event

    enum Event: Equatable, Sendable {
        case publication(ClientPublication)
        case join(ClientInfo)
        case leave(ClientInfo)
        case unsubscribe(code: UInt32, reason: String)
        /// A channel that it did not ask for. Only position, data, `isRecoverable` and `isPositioned` are said.
        case subscribe(ClientSubscribed)
        case message(ClientData)
        /// On unidirectional transports, where it is no reply.
        case connect(ClientConnected)
        /// Where no close frame could say it.
        case disconnect(ClientDisconnect)
        /// - ttl: seconds; `nil` when the connection does not end by itself.
        case refresh(ttl: UInt32?)
    }

    init(_ event: Event) { self.event = event }

    init(_ channel: String, number: Int64 = 0, _ event: Event) {
        self.channel = channel
        self.number = number
        self.event = event
    }
}
