/// What the application is asked about.
package enum ProxyEvent: String, Hashable, Sendable, CaseIterable {
    /// Whether a browser without a token may connect, and as whom.
    case connect
    /// Whether a connection whose time is up may live on.
    case refresh
    /// Whether it may subscribe to a channel.
    case subscribe
    /// What is to be published of what it says.
    case publish
    /// A question of the browser's own.
    case rpc
    /// Whether a subscription whose time is up may live on.
    case subscriptionRefresh = "sub_refresh"

    /// Nothing happens by being asked, so that one answer can be for all who ask the same.
    var isPure: Bool {
        switch self {
        case .connect, .refresh, .subscribe, .subscriptionRefresh: true
        case .publish, .rpc: false
        }
    }
}
