import JSON
import NIOCore

/// One command of a browser that speaks the Centrifugo client protocol v2, as JSON: `{"id": 1, "subscribe": {…}}`.
struct ClientCommand: Equatable {
    /// Chosen by the browser, repeated in the reply; 0 for what gets none.
    var id: UInt32
    /// `nil` in a command without one; without an id too it is a pong.
    var method: Method?

    enum Method: Equatable {
        case connect(token: String)
        case subscribe(Subscribe)
        case unsubscribe(channel: String)
        /// Data is `nil` when there is none.
        case publish(channel: String, data: JSONText?)
        /// `presence` or `presence_stats`.
        case presence(channel: String)
        case history(channel: String)
        case rpc
        case send
        case refresh(token: String)
        case refreshSubscription(channel: String, token: String)
        /// In the schema, but no command of version 2.
        case ping
    }

    struct Subscribe: Equatable {
        var channel = ""
        var token = ""
        /// The browser has a position and wants what it missed.
        var recovers = false
        /// It would rather have an error than come back with a gap.
        var rejectsUnrecovered = false
        /// 0 for a stream; maps and the like are others.
        var kind: Int64 = 0
        var delta = ""
        var hasFilter = false
    }

    private enum Name: String, CaseIterable {
        // In the order that decides when a command has several.
        case connect, subscribe, unsubscribe, publish, presence
        case presenceStats = "presence_stats"
        case history, rpc, send, refresh
        case refreshSubscription = "sub_refresh"
        case ping
    }

    private static let wanted = Set(Name.allCases.map(\.rawValue) + ["id"])

    /// - Throws: `JSONError` for what is no command: no object, a field of another type, a number out of bounds.
    init(decoding line: ByteBuffer) throws(JSONError) {
        let fields = try ClientFields(line, wanted: Self.wanted)
        self.id = try fields.integer("id", UInt32.self)
        guard let name = Name.allCases.first(where: { fields[$0.rawValue] != nil }),
            let parameters = fields[name.rawValue]
        else {
            self.method = nil
            return
        }
        self.method = try Self.method(name, parameters)
    }

    init(id: UInt32, _ method: Method?) {
        self.id = id
        self.method = method
    }

    /// A browser's answer to a ping.
    var isPong: Bool { self.id == 0 && self.method == nil }

    private static func method(_ name: Name, _ parameters: JSONText) throws(JSONError) -> Method {
        func read(_ keys: Set<String>) throws(JSONError) -> ClientFields {
            try ClientFields(parameters.bytes, wanted: keys)
        }
        switch name {
        case .connect: return .connect(token: try read(["token"]).string("token"))
        case .subscribe:
            return .subscribe(
                try Subscribe(read(["channel", "token", "recover", "flag", "type", "delta", "tf"])))
        case .unsubscribe: return .unsubscribe(channel: try read(["channel"]).string("channel"))
        case .publish:
            let fields = try read(["channel", "data"])
            return .publish(channel: try fields.string("channel"), data: fields["data"])
        case .presence, .presenceStats: return .presence(channel: try read(["channel"]).string("channel"))
        case .history: return .history(channel: try read(["channel"]).string("channel"))
        case .rpc:
            _ = try read(["method"]).string("method")
            return .rpc
        case .send:
            _ = try read([])
            return .send
        case .refresh: return .refresh(token: try read(["token"]).string("token"))
        case .refreshSubscription:
            let fields = try read(["channel", "token"])
            return .refreshSubscription(channel: try fields.string("channel"), token: try fields.string("token"))
        case .ping: return .ping
        }
    }
}

extension ClientCommand.Subscribe {
    fileprivate init(_ fields: ClientFields) throws(JSONError) {
        self.channel = try fields.string("channel")
        self.token = try fields.string("token")
        self.recovers = try fields.bool("recover")
        self.rejectsUnrecovered = try fields.integer("flag", Int64.self) & 2 != 0
        self.kind = try fields.integer("type", Int64.self)
        self.delta = try fields.string("delta")
        self.hasFilter = fields["tf"] != nil
    }
}
