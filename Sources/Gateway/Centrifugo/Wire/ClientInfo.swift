import ChannelLayer
import JSON

/// Who a connection is to others: beside what it publishes, in presence, when it joins and leaves.
struct ClientInfo: Hashable, Sendable {
    /// Empty for a visitor without a user.
    var user: String
    /// The connection's id.
    var client: String
    /// What the connection's token or the application says of it.
    var connection: ClientData?
    /// The same of its subscription.
    var channel: ClientData?

    init(user: String, client: String, connection: ClientData? = nil, channel: ClientData? = nil) {
        self.user = user
        self.client = client
        self.connection = connection
        self.channel = channel
    }

    /// What the layer carries: a map, or an object in JSON. `nil` for what is neither or says no user and client.
    init?(_ value: LayerValue) {
        func field(_ key: String) -> LayerValue? {
            switch value {
            case .json(let text): text.field(key).map(LayerValue.json)
            case .map(let entries): entries.last { $0.key == .string(key) }?.value
            default: nil
            }
        }
        func text(_ key: String) -> String? {
            switch field(key) {
            case .string(let text)?: text
            case .json(let json)?: json.stringValue
            default: nil
            }
        }
        guard let user = text("user"), let client = text("client") else { return nil }
        self.init(
            user: user, client: client, connection: field("conn_info").flatMap { ClientData($0) },
            channel: field("chan_info").flatMap { ClientData($0) })
    }

    /// `{"user": …, "client": …, "conn_info": …, "chan_info": …}`
    var layerValue: LayerValue {
        var entries = [
            LayerValue.Entry(key: .string("user"), value: .string(self.user)),
            LayerValue.Entry(key: .string("client"), value: .string(self.client)),
        ]
        if let connection { entries.append(.init(key: .string("conn_info"), value: connection.layerValue)) }
        if let channel { entries.append(.init(key: .string("chan_info"), value: channel.layerValue)) }
        return .map(entries)
    }
}
