import ChannelLayer
import HTTP1
import JSON
import NIOCore

/// What the application says to one question.
enum ProxyAnswer: Equatable, Sendable {
    /// `{}`: neither result nor refusal.
    case nothing
    case result(ProxyResult)
    /// For the browser, with one of the application's codes.
    case error(ClientError)
    case disconnect(ClientDisconnect)
    /// There was no answer, or none that could be read.
    case failed(ProxyFailure)
}

/// Why there is no answer. The browser is told that a later attempt may succeed.
enum ProxyFailure: String, Equatable, Sendable, CaseIterable {
    /// The application could not be reached, or hung up.
    case unreachable
    /// It took longer than it may.
    case slow
    /// It answered with another status than 200.
    case status
    /// Its answer is not what an answer is, or too long.
    case unreadable
    /// It is slow, and too many questions wait already.
    case overloaded
    /// This question has waited for too long.
    case overdue
}

/// What an answer grants. Which fields count is a matter of the event.
struct ProxyResult: Equatable, Sendable {
    var user: String?
    /// Seconds since 1970; 0 for never.
    var expires: Int64 = 0
    var isExpired = false
    /// What others see of the connection, or of its subscription.
    var info: ClientData?
    var data: ClientData?
    var channels: [String] = []
    /// Server-side subscriptions by channel, each as the JSON object it stands there.
    var subscriptions: [Subscription] = []
    var meta: JSONText?
    /// Options of the namespace that are others for this subscription, a JSON object.
    var override: JSONText?
    var skipsHistory = false
    var tags: [Tag] = []
    var idempotencyKey = ""
    var wantsDelta = false
    var version: UInt64 = 0
    var versionEpoch = ""

    struct Subscription: Equatable, Sendable {
        var channel: String
        var options: JSONText
    }

    struct Tag: Equatable, Sendable {
        var name: String
        var value: String
    }
}

extension ProxyAnswer {
    var isFailure: Bool { if case .failed = self { true } else { false } }

    private static let keys: Set<String> = ["result", "error", "disconnect"]

    /// Reads the JSON object of one answer.
    init(reading json: ByteBuffer) {
        do throws(JSONError) {
            let fields = try JSONFields(json, wanted: Self.keys)
            if let error = try fields.object("error", wanted: ["code", "message", "temporary"]) {
                self = .error(
                    ClientError(
                        try error.integer("code", UInt32.self), try error.string("message"),
                        isTemporary: try error.bool("temporary")))
            } else if let reason = try fields.object("disconnect", wanted: ["code", "reason"]) {
                self = Self.disconnect(try reason.integer("code", UInt16.self), try reason.string("reason"))
            } else if let result = try fields.object("result", wanted: ProxyResult.keys) {
                self = .result(try ProxyResult(result))
            } else {
                self = .nothing
            }
        } catch {
            self = .failed(.unreadable)
        }
    }

    /// A code that no close frame may have, or a reason that does not fit into one, is no answer.
    private static func disconnect(_ code: UInt16, _ reason: String) -> ProxyAnswer {
        guard (3_000...4_999).contains(code), reason.utf8.count <= 123 else { return .failed(.unreadable) }
        return .disconnect(ClientDisconnect(code, reason))
    }
}

extension ProxyResult {
    fileprivate static let keys: Set<String> = [
        "user", "expire_at", "expired", "info", "b64info", "data", "b64data", "channels", "subs", "meta", "override",
        "skip_history", "tags", "idempotency_key", "delta", "version", "version_epoch",
    ]

    fileprivate init(_ fields: JSONFields) throws(JSONError) {
        self.user = try fields["user"] == nil ? nil : fields.string("user")
        self.expires = try fields.integer("expire_at", Int64.self)
        self.isExpired = try fields.bool("expired")
        self.info = try Self.payload(fields, "info", "b64info")
        self.data = try Self.payload(fields, "data", "b64data")
        self.channels = try fields.strings("channels")
        self.subscriptions = try fields.members("subs").map { Subscription(channel: $0.key, options: $0.value) }
        self.meta = fields["meta"]
        self.override = fields["override"]
        self.skipsHistory = try fields.bool("skip_history")
        self.tags = try fields.texts("tags").map { Tag(name: $0.key, value: $0.value) }
        self.idempotencyKey = try fields.string("idempotency_key")
        self.wantsDelta = try fields.bool("delta")
        self.version = try fields.integer("version", UInt64.self)
        self.versionEpoch = try fields.string("version_epoch")
    }

    private static func payload(
        _ fields: JSONFields, _ key: String, _ base64Key: String
    ) throws(JSONError) -> ClientData? {
        let base64 = try fields.string(base64Key)
        guard !base64.isEmpty else { return fields[key].map(ClientData.json) }
        guard let bytes = Base64.decode(base64.utf8) else { throw JSONError("\(base64Key): expected base64", at: 0) }
        return ClientData(field: ByteBuffer(bytes: bytes))
    }
}
