import ChannelLayer

/// One command of a browser that speaks the Centrifugo client protocol v2, with all that the protocol lets it say. What
/// is missing is empty, 0 or `false`, as in Protobuf.
struct ClientCommand: Equatable {
    /// Chosen by the browser, repeated in the reply; 0 for what gets none.
    var id: UInt32
    /// `nil` in a command without one; without an id too it is a pong.
    var method: Method?

    enum Method: Equatable {
        case connect(Connect)
        case subscribe(Subscribe)
        case unsubscribe(channel: String)
        /// Data is `nil` when there is none.
        case publish(channel: String, data: ClientData?)
        case presence(channel: String)
        case presenceStats(channel: String)
        case history(History)
        case rpc(method: String, data: ClientData?)
        case send(data: ClientData?)
        case refresh(token: String)
        case refreshSubscription(channel: String, token: String)
        /// In the schema, but no command of version 2.
        case ping
    }

    init(id: UInt32, _ method: Method?) {
        self.id = id
        self.method = method
    }

    /// A browser's answer to a ping.
    var isPong: Bool { self.id == 0 && self.method == nil }

    struct Connect: Equatable {
        var token = ""
        /// For the application.
        var data: ClientData?
        /// Channels that it need not ask for, and what it has of them.
        var subscriptions: [String: Since] = [:]
        /// The SDK's.
        var name = ""
        /// The application's.
        var version = ""
        /// What a browser cannot set as headers.
        var headers: [String: String] = [:]
        var flag: Int64 = 0
    }

    /// What a browser has of a channel.
    struct Since: Equatable {
        /// It wants what it missed.
        var recovers = false
        var position = StreamPosition(offset: 0, epoch: "")
    }

    struct Subscribe: Equatable {
        var channel = ""
        var token = ""
        var since = Since()
        /// For the application.
        var data: ClientData?
        var wantsPositioning = false
        var wantsRecovery = false
        var wantsJoinLeave = false
        /// Empty, or the name of a format of patches.
        var delta = ""
        var filter: ClientFilter?
        /// Bits: 1, a number may stand for the channel; 2, an error instead of `recovered: false`.
        var flag: Int64 = 0
        /// 0 for a stream; maps and the like are others.
        var kind: Int64 = 0

        var takesNumbers: Bool { self.flag & 1 != 0 }
        var rejectsUnrecovered: Bool { self.flag & 2 != 0 }
    }

    struct History: Equatable {
        var channel = ""
        /// Publications at most; 0 for the position alone, negative for all.
        var limit: Int32 = 0
        var since: StreamPosition?
        var isReverse = false
    }
}

/// One node of a tags filter as it was said; whether it makes sense is not known yet.
struct ClientFilter: Hashable, Sendable {
    /// Empty for a comparison.
    var op = ""
    var key = ""
    var comparison = ""
    var value = ""
    var values: [String] = []
    var nodes: [ClientFilter] = []
}
