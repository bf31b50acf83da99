package import ChannelLayer

/// What the server API may do with a channel: what the gateways' settings say of its namespace.
package struct ChannelRules: Sendable, Equatable {
    /// How publications are kept; `nil` when they are not.
    package var history: HistoryOptions?
    /// Whether it is known who is there.
    package var hasPresence: Bool
    /// Whether a publication may be empty.
    package var allowsNoData = false

    package init(history: HistoryOptions? = nil, hasPresence: Bool = false) {
        self.history = history
        self.hasPresence = hasPresence
    }

    /// Says what counts for a channel; `nil` when its namespace is not there.
    package typealias LookUp = @Sendable (_ channel: String) -> ChannelRules?

    /// Without namespaces every channel is there, and nothing is kept of it.
    package static let none: LookUp = { _ in ChannelRules() }
}
