/// What a gateway holds at one moment.
package struct GatewayCensus: Sendable, Equatable {
    /// Connections that are let in or being let in.
    package var connections: Int
    /// Different users behind them; anonymous visitors are nobody here.
    package var users: Int
    /// Groups with at least one follower.
    package var groups: Int
    /// Pairs of a connection and a group it follows.
    package var subscriptions: Int
}
