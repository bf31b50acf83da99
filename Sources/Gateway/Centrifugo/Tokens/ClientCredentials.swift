import ChannelLayer
import JSON

/// Who a connection is, as its token or the application says.
struct ClientCredentials: Equatable, Sendable {
    /// Empty for a visitor without a user.
    var user = ""
    /// What others see beside what this connection publishes.
    var info: ClientData?
    /// For the connection itself, with the answer to its `connect`.
    var data: ClientData?
    /// Seen by the application alone.
    var meta: JSONText?
    /// When the connection ends, in seconds since 1970; `nil` for never.
    var expires: Int64?
    /// The channels it need not ask for.
    var channels: [String: SubscriptionGrant] = [:]
    /// The application said so, and not a token.
    var isAnswer = false

    static let anonymous = ClientCredentials()

    /// Why a token does not count.
    enum Fault: Error, Sendable {
        /// Malformed, not signed by one of our keys, for somebody else. Another try is no use.
        case invalid
        /// It was good, or will be: a new one will do.
        case expired
        /// Nothing could be found out: the keys could not be had.
        case unavailable
    }
}

/// What one subscription is given, by a token, by the application, or by the server API.
struct SubscriptionGrant: Equatable, Sendable {
    /// What others see of this subscription.
    var info: ClientData?
    /// For the subscriber itself.
    var data: ClientData?
    /// When it ends, in seconds since 1970; `nil` for never.
    var expires: Int64?
    var overrides = ChannelOverrides()
    /// What it has of the stream, where the server knows.
    var since: StreamPosition?
}

/// Options of a namespace that are others for one subscription.
struct ChannelOverrides: Hashable, Sendable {
    var presence: Bool?
    var joinLeave: Bool?
    var forcePushJoinLeave: Bool?
    var forcePositioning: Bool?
    var forceRecovery: Bool?

    func applied(to options: ChannelOptions) -> ChannelOptions {
        var options = options
        options.presence = self.presence ?? options.presence
        options.joinLeave = self.joinLeave ?? options.joinLeave
        options.forcePushJoinLeave = self.forcePushJoinLeave ?? options.forcePushJoinLeave
        options.forcePositioning = self.forcePositioning ?? options.forcePositioning
        options.forceRecovery = self.forceRecovery ?? options.forceRecovery
        return options
    }
}
