import ChannelLayer

/// One channel of one connection, as the protocol knows it.
struct ClientSubscription: Equatable {
    /// Who began it, and what is owed to them when it is open.
    enum Purpose: Equatable {
        /// A `subscribe` command.
        case command(id: UInt32)
        /// The `connect` command, with whose answer it is told.
        case connect
        /// The server, whose browser learns of it by a push.
        case server
    }
    enum State: Equatable {
        case opening(Purpose)
        case open
    }

    let channel: ClientChannel
    let namespace: Int
    /// The namespace's, with what a token overrides.
    let options: ChannelOptions
    /// Which beginning it is: of a channel that was left and is asked for again another one.
    let serial: UInt64
    var state: State
    let isServerSide: Bool
    /// What others see of it.
    var info: ClientData?
    /// For the subscriber.
    var data: ClientData?
    /// Seconds since 1970; `nil` for never.
    var expires: Int64?
    /// The application is asked whether it may stay.
    var isAskingToStay = false
    let isPositioned: Bool
    let isRecoverable: Bool
    let hearsJoinLeave: Bool
    /// Patches, and a number for the name.
    let form: ClientForm
    /// Which publications it wants; `nil` for all.
    let filter: TagsFilter?
    /// What it has of the stream and wants to go on from.
    let since: StreamPosition?
    let rejectsUnrecovered: Bool

    var isOpen: Bool { self.state == .open }
}

/// What a subscription asks for beside its channel.
struct SubscriptionWishes: Equatable {
    var positioning = false
    var recovery = false
    var joinLeave = false
    var form: ClientForm = []
    var filter: TagsFilter?
    var since: StreamPosition?
    var rejectsUnrecovered = false
}

/// What must be done before a subscription is open.
struct ClientOpening: Equatable {
    /// What of the stream has to be known.
    enum Wanted: Equatable {
        case nothing
        case position
        case publications(since: StreamPosition)
        case newest
    }

    let channel: ClientChannel
    let namespace: Int
    let serial: UInt64
    let wanted: Wanted
    let hearsJoinLeave: Bool
    var form: ClientForm = []
    var filter: TagsFilter?
    var slowReaders = ChannelOptions.SlowReaders.disconnect
    /// Told to who asks who is there; `nil` where nobody does.
    let presence: ClientInfo?
}

extension ClientOpening {
    init(_ subscription: ClientSubscription, presence: ClientInfo?) {
        self.init(
            channel: subscription.channel, namespace: subscription.namespace, serial: subscription.serial,
            wanted: subscription.opening, hearsJoinLeave: subscription.hearsJoinLeave, form: subscription.form,
            filter: subscription.filter, slowReaders: subscription.options.slowReaders, presence: presence)
    }
}

extension ClientSubscription {
    var opening: ClientOpening.Wanted {
        guard self.isPositioned else { return .nothing }
        guard self.isRecoverable else { return .position }
        switch self.options.recoveryMode {
        case .stream: return self.since.map { .publications(since: $0) } ?? .position
        case .cache: return self.since != nil || self.options.autoCacheRecover ? .newest : .position
        }
    }

    /// What its subscriber is told when it is open.
    ///
    /// - Parameters:
    ///   - page: what `opening` asked for; `nil` for nothing.
    ///   - wasRecovering: it asked for what it missed.
    ///   - codec: for which patches are made.
    ///   - runs: what others are told who missed the same; `nil` where publications are told one by one.
    func subscribed(
        _ page: HistoryPage?, ttl: UInt32?, wasRecovering: Bool, codec: ClientCodec, runs: WrittenRuns?
    ) -> ClientSubscribed {
        var subscribed = ClientSubscribed()
        subscribed.ttl = ttl
        subscribed.data = self.data
        subscribed.wasRecovering = wasRecovering
        subscribed.isDelta = self.form.contains(.delta)
        guard let page else { return subscribed }
        subscribed.isPositioned = self.isPositioned
        subscribed.isRecoverable = self.isRecoverable
        subscribed.position = page.top
        let recovery: Recovery
        switch self.opening {
        case .nothing, .position: return subscribed
        case .publications(let since): recovery = Recovery(since: since, page)
        case .newest: recovery = Recovery(newestOf: page, since: self.since)
        }
        subscribed.isRecovered = recovery.isComplete
        let run = WrittenRuns.Run(recovery.publications, of: self.channel, page.top.epoch, codec, self.form)
        if let runs, let run, self.filter == nil {
            subscribed.written = runs.written(run) { self.publications(recovery, codec) }
        } else {
            subscribed.publications = self.publications(recovery, codec)
        }
        if recovery.isComplete, case .publications(let since) = self.opening {
            // The SDK goes on from there by itself, publication by publication.
            subscribed.position = StreamPosition(offset: since.offset, epoch: page.top.epoch)
        }
        return subscribed
    }

    /// Those of what was missed that the subscriber wants, as it wants them.
    private func publications(_ recovery: Recovery, _ codec: ClientCodec) -> [ClientPublication] {
        var publications = recovery.publications.compactMap {
            try? ClientPublication($0.message, dataKey: self.options.dataKey)
        }
        if let filter { publications.removeAll { !filter.matches($0.tags) } }
        return self.form.contains(.delta) ? publications.asPatches(codec) : publications
    }
}

/// Whether what was read of a stream is all that somebody missed.
struct Recovery: Equatable {
    var publications: [StoredPublication] = []
    var isComplete = false

    /// All after `since`, without a gap, up to the top.
    init(since: StreamPosition, _ page: HistoryPage) {
        guard since.epoch.isEmpty || since.epoch == page.top.epoch, since.offset <= page.top.offset else { return }
        var next = since.offset &+ 1
        for publication in page.publications {
            guard publication.offset == next else { return }
            next &+= 1
        }
        guard next == page.top.offset &+ 1 else { return }
        self.isComplete = true
        self.publications = page.publications
    }

    /// The newest one, unless it is there already.
    ///
    /// - Parameter page: the top and the newest publication, if one is kept.
    init(newestOf page: HistoryPage, since: StreamPosition?) {
        if let since, since.offset > 0, since == page.top {
            self.isComplete = true
        } else if let newest = page.publications.first, newest.offset == page.top.offset {
            self.isComplete = true
            self.publications = [newest]
        }
    }
}
