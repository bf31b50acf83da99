import HTTP1
import JSON
import NIOCore

/// The claims of a token of the protocol, as they stand there. What has the wrong type makes the token invalid: a limit
/// that cannot be read must not be taken for none.
struct ClientClaims {
    private let json: JSONText

    struct Malformed: Error {}

    /// - Parameter token: one whose signature counts.
    init(of token: String) throws(Malformed) {
        let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let claims = Base64.decodeURL(parts[1]),
            let json = try? JSONText(validating: ByteBuffer(bytes: claims)), json.isObject
        else { throw Malformed() }
        self.json = json
    }

    init(_ json: JSONText) throws(Malformed) {
        guard json.isObject else { throw Malformed() }
        self.json = json
    }

    /// The value under `key`, unless it is missing or `null`.
    subscript(key: String) -> JSONText? { self.json.field(key).flatMap { $0.isNull ? nil : $0 } }

    func text(_ key: String) throws(Malformed) -> String? {
        guard let value = self[key] else { return nil }
        guard let text = value.stringValue else { throw Malformed() }
        return text
    }

    /// Seconds since 1970; a fraction does not count.
    func time(_ key: String) throws(Malformed) -> Int64? {
        guard let value = self[key] else { return nil }
        let text = String(buffer: value.bytes)
        if let whole = Int64(text) { return whole }
        guard let number = Double(text), let whole = Int64(exactly: number.rounded(.down)) else { throw Malformed() }
        return whole
    }

    func flag(_ key: String) throws(Malformed) -> Bool? {
        guard let value = self[key] else { return nil }
        switch String(buffer: value.bytes) {
        case "true": return true
        case "false": return false
        default: throw Malformed()
        }
    }

    /// JSON under `key`, or bytes in base64 under `b64` and `key`.
    func data(_ key: String) throws(Malformed) -> ClientData? {
        if let json = self[key] { return .json(json) }
        guard let text = try self.text("b64" + key) else { return nil }
        guard let bytes = Base64.decode(text.utf8) else { throw Malformed() }
        return ClientData(field: ByteBuffer(bytes: bytes))
    }

    func object(_ key: String) throws(Malformed) -> ClientClaims? {
        guard let value = self[key] else { return nil }
        return try ClientClaims(value)
    }

    /// The keys and values of this object.
    func members() throws(Malformed) -> [String: JSONText] {
        guard let fields = try? ClientFields(self.json.bytes, wanted: nil) else { throw Malformed() }
        return fields.values
    }

    /// The texts of a list.
    func list(_ key: String) throws(Malformed) -> [String] {
        guard let value = self[key] else { return [] }
        guard let tree = try? JSONValue(parsing: value.bytes), let elements = tree.array else { throw Malformed() }
        var texts: [String] = []
        for element in elements {
            guard let text = element.string else { throw Malformed() }
            texts.append(text)
        }
        return texts
    }
}

extension ClientCredentials {
    /// - Parameters:
    ///   - user: of the claim that names it.
    ///   - expires: when the token ends; `expire_at` says when the connection does, where it is there.
    init(_ claims: ClientClaims, user: String, expires: Int64?) throws(ClientClaims.Malformed) {
        // A token for one channel opens no connection.
        guard claims["channel"] == nil else { throw ClientClaims.Malformed() }
        self.user = user
        self.info = try claims.data("info")
        self.expires = try claims.life(expires)
        if let meta = claims["meta"] {
            guard meta.isObject else { throw ClientClaims.Malformed() }
            self.meta = meta
        }
        for channel in try claims.list("channels") { self.channels[channel] = SubscriptionGrant() }
        for (channel, options) in try claims.object("subs")?.members() ?? [:] {
            self.channels[channel] = try SubscriptionGrant(ClientClaims(options), expires: nil)
        }
    }
}

extension SubscriptionGrant {
    init(_ claims: ClientClaims, expires: Int64?) throws(ClientClaims.Malformed) {
        self.info = try claims.data("info")
        self.data = try claims.data("data")
        self.expires = try claims.life(expires)
        if let overrides = try claims.object("override") { self.overrides = try ChannelOverrides(overrides) }
    }
}

extension ChannelOverrides {
    init(_ claims: ClientClaims) throws(ClientClaims.Malformed) {
        func value(_ key: String) throws(ClientClaims.Malformed) -> Bool? {
            try claims.object(key)?.flag("value")
        }
        self.presence = try value("presence")
        self.joinLeave = try value("join_leave")
        self.forcePushJoinLeave = try value("force_push_join_leave")
        self.forcePositioning = try value("force_positioning")
        self.forceRecovery = try value("force_recovery")
    }
}

extension ClientClaims {
    /// When what the token is for ends: `expire_at`, of which 0 is never, or else with the token.
    fileprivate func life(_ expires: Int64?) throws(Malformed) -> Int64? {
        guard let end = try self.time("expire_at") else { return expires }
        return end > 0 ? end : nil
    }
}

/// What a subscription token says.
struct SubscriptionClaims: Equatable, Sendable {
    var user: String
    var channel: String
    /// The connection it is for alone; `nil` for every one of the user.
    var client: String?
    var grant: SubscriptionGrant

    init(user: String, channel: String, client: String? = nil, grant: SubscriptionGrant = SubscriptionGrant()) {
        self.user = user
        self.channel = channel
        self.client = client
        self.grant = grant
    }

    init(_ claims: ClientClaims, user: String, expires: Int64?) throws(ClientClaims.Malformed) {
        guard let channel = try claims.text("channel"), !channel.isEmpty else { throw ClientClaims.Malformed() }
        let client = try claims.text("client")
        self.init(
            user: user, channel: channel, client: client?.isEmpty == true ? nil : client,
            grant: try SubscriptionGrant(claims, expires: expires))
    }
}
