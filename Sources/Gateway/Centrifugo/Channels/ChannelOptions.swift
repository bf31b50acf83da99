/// What may be done with the channels of one namespace, what is kept of them, and what becomes of group messages in them.
package struct ChannelOptions: Sendable, Hashable {
    // MARK: Who may

    /// Whoever is known may subscribe.
    package var allowSubscribeForClient = false
    /// With the one above: visitors without a user too.
    package var allowSubscribeForAnonymous = false
    /// Whoever is known, who is subscribed, or visitors without a user too.
    package var publishing = ChannelAccess()
    package var presenceAccess = ChannelAccess()
    package var historyAccess = ChannelAccess()
    /// `dialog#12,57` is for the users 12 and 57 alone, who need no other permission.
    package var allowUserLimitedChannels = false
    /// What a name must be behind its namespace; `nil` for any.
    package var namePattern: TextPattern?
    /// What data of browsers must be.
    package var publicationFormat = PublicationFormat.any
    /// Whether the application is asked, who may subscribe and what may be published.
    package var asksToSubscribe = false
    package var asksToPublish = false
    package var asksToRefresh = false
    /// Where it is asked.
    package var subscribeProxy = ProxyChoice.own
    package var publishProxy = ProxyChoice.own
    package var refreshProxy = ProxyChoice.own

    // MARK: What is kept

    package var presence = false
    package var joinLeave = false
    package var forcePushJoinLeave = false
    /// Publications; 0 keeps none.
    package var historySize = 0
    /// Seconds from the newest publication; 0 keeps none.
    package var historyTime = 0
    /// Seconds that a stream's epoch and offset outlive its publications; 0 for the gateway's own.
    package var historyMetaTime = 0

    // MARK: Positions

    package var forcePositioning = false
    package var allowPositioning = false
    package var forceRecovery = false
    package var allowRecovery = false
    package var recoveryMode = RecoveryMode.stream
    package var autoCacheRecover = false

    // MARK: What travels

    package var allowedDeltaTypes: [DeltaType] = []
    /// Deltas are made for every publication, asked or not.
    package var deltaPublish = false
    package var allowTagsFilter = false
    /// A number may stand for a channel's name in pushes.
    package var allowChannelCompaction = false
    package var slowReaders = SlowReaders.disconnect
    /// The key of an object that publications replace each other by, for `conflate`.
    package var conflateKey: String?
    /// The key of a group message whose value becomes the publication's data; `nil` for the whole message.
    package var dataKey: String?

    package init() {}

    /// Publications are kept.
    package var keepsHistory: Bool { self.historySize > 0 && self.historyTime > 0 }

    /// For a layer that keeps nothing.
    mutating func keepNothing() {
        self.historySize = 0
        self.presence = false
    }

    package enum RecoveryMode: String, Hashable, Sendable, CaseIterable {
        /// All that was missed, in order.
        case stream
        /// The newest publication alone.
        case cache
    }

    package enum DeltaType: String, Hashable, Sendable, CaseIterable { case fossil }

    package enum PublicationFormat: String, Hashable, Sendable, CaseIterable {
        /// Anything but nothing.
        case any = ""
        /// JSON text.
        case json
        case jsonObject = "json_object"
        /// Anything, and nothing too.
        case binary
    }

    /// What becomes of who reads more slowly than others speak.
    package enum SlowReaders: String, Hashable, Sendable, CaseIterable {
        /// Closed with 3008 when too much waits.
        case disconnect
        /// Of what waits only the newest publication is sent, or of each key.
        case conflate
        /// The oldest of what waits is dropped.
        case dropOldest = "drop_oldest"
    }
}

/// Who may do something with a channel.
package struct ChannelAccess: Sendable, Hashable {
    /// Whoever has a user.
    package var forClient = false
    /// Who is subscribed.
    package var forSubscriber = false
    /// With `forClient`: visitors without a user too.
    package var forAnonymous = false

    package init(forClient: Bool = false, forSubscriber: Bool = false, forAnonymous: Bool = false) {
        self.forClient = forClient
        self.forSubscriber = forSubscriber
        self.forAnonymous = forAnonymous
    }
}
