/// How a publication is kept, and whether it is one at all.
public struct HistoryOptions: Sendable, Equatable {
    /// Publications the group keeps, this one among them; 0 keeps none, and gives no position.
    public var size: Int
    /// How long they are kept. Every publication begins the time anew, for all of them.
    public var timeToLive: Duration
    /// How long epoch and offset are known after the last publication or look; at least `timeToLive`.
    public var metaTimeToLive: Duration
    /// Of several publications to one group with the same key only the first one counts; with `witness` it is another rule.
    public var idempotencyKey: String?
    /// Another group, whose members hear it instead of the group's own.
    public var audience: GroupName?
    /// Who has heard what is published, where several hear the same and each publishes it.
    public var witness: Witness?
    /// How long the key is known.
    public var idempotencyTimeToLive: Duration
    /// A publication whose version is not above that of the last one with a version does not count; 0 has none. Needs
    /// history.
    public var version: UInt64
    /// Versions are compared within one epoch of the application's own; empty compares with any.
    public var versionEpoch: String

    public init(
        size: Int, timeToLive: Duration, metaTimeToLive: Duration = Self.usualMetaTimeToLive,
        idempotencyKey: String? = nil, idempotencyTimeToLive: Duration = .seconds(300), version: UInt64 = 0,
        versionEpoch: String = "", audience: GroupName? = nil, witness: Witness? = nil
    ) {
        self.size = size
        self.timeToLive = timeToLive
        self.metaTimeToLive = metaTimeToLive
        self.idempotencyKey = idempotencyKey
        self.idempotencyTimeToLive = idempotencyTimeToLive
        self.version = version
        self.versionEpoch = versionEpoch
        self.audience = audience
        self.witness = witness
    }

    /// 30 days.
    public static let usualMetaTimeToLive = Duration.seconds(30 * 86_400)

    /// Whether there is a stream, and the publication gets a position.
    public var keepsHistory: Bool { self.size > 0 && self.timeToLive > .zero }
}

/// What became of a publication.
public struct PublishResult: Sendable, Equatable {
    /// Why a publication was not sent: it, or something newer, was before.
    public enum Suppression: Sendable { case idempotencyKey, version }

    /// Where it is kept: of one suppressed by its key where the first one is, by its version the newest position. Offset
    /// 0 and an empty epoch when nothing is kept.
    public var position: StreamPosition
    /// `nil` when it was kept and sent.
    public var suppression: Suppression?

    public init(position: StreamPosition, suppression: Suppression? = nil) {
        self.position = position
        self.suppression = suppression
    }

    public var isSuppressed: Bool { self.suppression != nil }
}

/// Which part of a history is wanted.
public struct HistoryQuery: Sendable, Equatable {
    /// Publications at most; 0 asks for the position alone, a negative number for all.
    public var limit: Int
    /// Only what is after this offset, or before it in reverse. Nothing of a stream has the position of another epoch, so
    /// with one the page is empty: compare it with the page's `top`.
    public var since: StreamPosition?
    /// Newest first.
    public var isReverse: Bool
    /// As in `HistoryOptions`: a look keeps the position known too.
    public var metaTimeToLive: Duration

    public init(
        limit: Int, since: StreamPosition? = nil, isReverse: Bool = false,
        metaTimeToLive: Duration = HistoryOptions.usualMetaTimeToLive
    ) {
        self.limit = limit
        self.since = since
        self.isReverse = isReverse
        self.metaTimeToLive = metaTimeToLive
    }

    /// The position alone.
    public static let position = HistoryQuery(limit: 0)
    /// All that is kept.
    public static let everything = HistoryQuery(limit: -1)
}

/// A part of a history.
public struct HistoryPage: Sendable, Equatable {
    /// In the order that was asked for, without gaps.
    public var publications: [StoredPublication]
    /// The newest position, whatever was asked for. A group without publications has the offset 0, and an epoch.
    public var top: StreamPosition

    public init(publications: [StoredPublication], top: StreamPosition) {
        self.publications = publications
        self.top = top
    }
}

/// A publication as it was heard.
public struct StoredPublication: Sendable, Equatable {
    public var offset: UInt64
    /// With its position.
    public var message: LayerMessage

    public init(offset: UInt64, message: LayerMessage) {
        self.offset = offset
        self.message = message
    }
}
