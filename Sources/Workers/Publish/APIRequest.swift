import ChannelLayer
import JSON
import NIOCore

/// A request to the server API, its fields read and not yet judged. What a method does not use, and what a later version
/// may add, is passed over; `null` is the same as not being there, but for `b64data` of what is to be published.
enum APIRequest {
    case publish(channel: String, APIPublication)
    case broadcast(channels: [String], APIPublication)
    case subscribe(ConnectionSelector, APISubscription)
    case unsubscribe(ConnectionSelector, channel: String)
    case disconnect(ConnectionSelector, sparing: [String], code: Int64, reason: String)
    case refresh(ConnectionSelector, isExpired: Bool, expires: Int64, info: JSONText?)
    case presence(channel: String)
    case presenceStats(channel: String)
    case history(channel: String, APIHistory)
    case historyRemove(channel: String)
    case channels(pattern: String)
    case connections(user: String, expression: String)
    case info
    case rpc(method: String)
    case batch([(method: APIMethod, APIRequest)], isParallel: Bool)

    /// - Throws: `JSONError` when the body is no JSON object, nested too deeply, or a field has the wrong type.
    init(_ method: APIMethod, _ body: ByteBuffer) throws(JSONError) {
        let fields = try JSONFields(body, wanted: Self.wanted)
        switch method {
        case .publish: self = .publish(channel: try fields.string("channel"), try APIPublication(fields))
        case .broadcast: self = .broadcast(channels: try fields.strings("channels"), try APIPublication(fields))
        case .subscribe: self = .subscribe(try ConnectionSelector(fields), try APISubscription(fields))
        case .unsubscribe:
            self = .unsubscribe(try ConnectionSelector(fields), channel: try fields.string("channel"))
        case .disconnect:
            let how = try fields.object("disconnect", wanted: ["code", "reason"]) ?? JSONFields()
            self = .disconnect(
                try ConnectionSelector(fields), sparing: try fields.strings("whitelist"),
                code: try how.integer("code", Int64.self), reason: try how.string("reason"))
        case .refresh:
            self = .refresh(
                try ConnectionSelector(fields), isExpired: try fields.bool("expired"),
                expires: try fields.integer("expire_at", Int64.self), info: fields["info"])
        case .presence: self = .presence(channel: try fields.string("channel"))
        case .presenceStats: self = .presenceStats(channel: try fields.string("channel"))
        case .history: self = .history(channel: try fields.string("channel"), try APIHistory(fields))
        case .historyRemove: self = .historyRemove(channel: try fields.string("channel"))
        case .channels: self = .channels(pattern: try fields.string("pattern"))
        case .connections:
            self = .connections(user: try fields.string("user"), expression: try fields.string("expression"))
        case .info: self = .info
        case .rpc: self = .rpc(method: try fields.string("method"))
        case .batch:
            self = .batch(
                try fields.elements("commands").map(Self.command), isParallel: try fields.bool("parallel"))
        }
    }

    private static let wanted: Set<String> = [
        "channel", "channels", "data", "b64data", "skip_history", "tags", "idempotency_key", "delta", "version",
        "version_epoch", "user", "client", "session", "info", "b64info", "expire_at", "recover_since", "override",
        "whitelist", "disconnect", "expired", "limit", "since", "reverse", "pattern", "expression", "method",
        "commands", "parallel",
    ]

    private static let names = Set(APIMethod.allCases.map(\.rawValue))

    /// `{"publish": {…}}`: of several methods the first of the API's order counts, but none may be unreadable.
    private static func command(_ text: JSONText) throws(JSONError) -> (method: APIMethod, APIRequest) {
        let fields = try JSONFields(text.bytes, wanted: self.names)
        var first: (method: APIMethod, APIRequest)?
        for method in APIMethod.allCases where method != .batch {
            guard let parameters = fields[method.rawValue] else { continue }
            let request = try APIRequest(method, parameters.bytes)
            first = first ?? (method, request)
        }
        guard let first else { throw JSONError("a command of a batch has none of the methods", at: 0) }
        return first
    }
}

/// What is to be published.
struct APIPublication {
    /// The JSON text under `data`, cut out of the body as it stood there.
    var data: JSONText?
    var base64: String
    var skipsHistory: Bool
    var tags: [(key: String, value: String)]
    var idempotencyKey: String
    var wantsDelta: Bool
    var version: UInt64
    var versionEpoch: String

    init(_ fields: JSONFields) throws(JSONError) {
        self.data = fields["data"]
        // Bytes that got lost on the way to here would otherwise be an empty publication, or the wrong one.
        self.base64 = try fields.nonNullString("b64data")
        self.skipsHistory = try fields.bool("skip_history")
        self.tags = try fields.texts("tags")
        self.idempotencyKey = try fields.string("idempotency_key")
        self.wantsDelta = try fields.bool("delta")
        self.version = try fields.integer("version", UInt64.self)
        self.versionEpoch = try fields.string("version_epoch")
    }
}

/// What connections are to be subscribed to.
struct APISubscription {
    var channel: String
    var info: JSONText?
    var base64Info: String
    var data: JSONText?
    var base64: String
    var expires: Int64
    var since: StreamPosition?
    var override: JSONText?

    init(_ fields: JSONFields) throws(JSONError) {
        self.channel = try fields.string("channel")
        self.info = fields["info"]
        self.base64Info = try fields.string("b64info")
        self.data = fields["data"]
        self.base64 = try fields.string("b64data")
        self.expires = try fields.integer("expire_at", Int64.self)
        self.since = try StreamPosition(fields, "recover_since")
        self.override = fields["override"]
    }
}

/// Which part of a history is wanted.
struct APIHistory {
    var limit: Int
    var since: StreamPosition?
    var isReverse: Bool

    init(_ fields: JSONFields) throws(JSONError) {
        self.limit = Int(try fields.integer("limit", Int32.self))
        self.since = try StreamPosition(fields, "since")
        self.isReverse = try fields.bool("reverse")
    }
}

extension ConnectionSelector {
    fileprivate init(_ fields: JSONFields) throws(JSONError) {
        self.init(
            user: try fields.string("user"), client: try fields.string("client"), session: try fields.string("session"))
    }
}

extension StreamPosition {
    fileprivate init?(_ fields: JSONFields, _ key: String) throws(JSONError) {
        guard let position = try fields.object(key, wanted: ["offset", "epoch"]) else { return nil }
        self.init(offset: try position.integer("offset", UInt64.self), epoch: try position.string("epoch"))
    }
}
