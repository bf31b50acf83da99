import ChannelLayer
import JSON
import NIOCore

/// What the server API does with a connection.
extension ClientSession {
    /// Whether a command is for it.
    func isMeant(by selector: ConnectionSelector, user: String) -> Bool {
        selector.matches(user: user, client: self.id, session: self.secret)
    }

    func subscribe(_ subscription: ServerSubscription) {
        guard let grant = SubscriptionGrant(subscription) else { return }
        self.subscribe(to: subscription.channel, grant)
    }

    func refresh(_ refresh: ConnectionRefresh) {
        guard !refresh.isExpired else { return self.end(.connectionExpired) }
        self.prolong(
            expires: refresh.expires == 0 ? nil : refresh.expires,
            info: refresh.info.map { .json(JSONText(unchecked: $0)) })
    }

    /// The connection as `/api/connections` tells of it.
    func description(of user: String) -> ByteBuffer {
        let form = self.transport.isProtobuf ? "protobuf" : "json"
        var json = ByteBuffer(string: #"{"transport":"\#(self.transport.path.rawValue)","protocol":"\#(form)","user":"#)
        json.writeJSONString(user)
        json.writeStaticString(#","state":{"channels":{"#)
        for (index, channel) in self.machine.subscriptions.keys.sorted().enumerated() {
            if index > 0 { json.writeStaticString(",") }
            json.writeJSONString(channel)
            json.writeStaticString(":{}")
        }
        json.writeStaticString("}}}")
        return json
    }
}

extension SubscriptionGrant {
    /// `nil` when the options it overrides are none.
    fileprivate init?(_ subscription: ServerSubscription) {
        self.init()
        self.info = subscription.info.map { .json(JSONText(unchecked: $0)) }
        self.data = subscription.data.map { .json(JSONText(unchecked: $0)) }
        self.expires = subscription.expires == 0 ? nil : subscription.expires
        self.since = subscription.since.map { StreamPosition(offset: $0.offset, epoch: $0.epoch) }
        guard let override = subscription.override else { return }
        do throws(ClientClaims.Malformed) {
            self.overrides = try ChannelOverrides(ClientClaims(JSONText(unchecked: override)))
        } catch {
            return nil
        }
    }
}
