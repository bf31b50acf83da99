/// All that a `MemoryLayer` knows. It never calls out; what must be resumed or told is returned.
struct MemoryState {
    typealias Reader = CheckedContinuation<Result<LayerMessage, LayerError>, Never>
    typealias Instant = ContinuousClock.Instant
    typealias ReaderID = UInt64

    enum Deposit { case stored, taken(Reader), full }
    enum Take { case message(LayerMessage), waiting, cancelled }

    /// Who hears a group. Copying it allocates nothing.
    struct Audience {
        var feeds: [MemoryFeed] = []
        var hasChannels = false
    }

    private let configuration: LayerConfiguration
    private var mailboxes = MemoryRoster<Mailbox>()
    private var groups = MemoryRoster<Group>()
    /// Open feeds, with the groups each follows.
    private var follows: [ObjectIdentifier: (feed: MemoryFeed, groups: Set<GroupName>)] = [:]
    /// Readers whose task was cancelled before they began to wait.
    private var cancelledEarly: Set<ReaderID> = []
    private var expired: [(name: String, count: Int)] = []
    private(set) var isClosed = false
    var history = HistoryState()
    var presence = PresenceState()
    /// Messages to groups of which some publications are being delivered just now; the next ones wait their turn.
    private var waiting: [GroupName: MemoryQueue<LayerMessage>] = [:]
    private let start = Instant.now

    init(configuration: LayerConfiguration) { self.configuration = configuration }

    /// What the layer holds, for tests of what it lets go.
    var holdings: (mailboxes: Int, groups: Int, cancelledEarly: Int) {
        (self.mailboxes.count, self.groups.count, self.cancelledEarly.count)
    }

    /// What expired since the last call.
    mutating func takeExpired() -> [(name: String, count: Int)] {
        guard !self.expired.isEmpty else { return [] }
        defer { self.expired = [] }
        return self.expired
    }
}

// MARK: - Channels

extension MemoryState {
    /// One channel. It holds messages, or readers wait for some; never both.
    private final class Mailbox: MemoryRosterEntry {
        let name: ChannelName
        let capacity: Int
        var place = 0
        var messages = MemoryQueue<(message: LayerMessage, expires: Instant)>()
        var readers = MemoryQueue<(id: ReaderID, reader: Reader)>()
        var isUnused: Bool { self.messages.isEmpty && self.readers.isEmpty }

        init(name: ChannelName, capacity: Int) {
            self.name = name
            self.capacity = capacity
        }
    }

    mutating func deposit(_ message: LayerMessage, in channel: ChannelName, at now: Instant) -> Deposit {
        self.sweepMailboxes(now)
        let mailbox = self.mailbox(of: channel)
        if let (_, reader) = mailbox.readers.popFirst() {
            if mailbox.isUnused { self.mailboxes.remove(mailbox) }
            return .taken(reader)
        }
        self.dropExpired(mailbox, now)
        guard mailbox.messages.count < mailbox.capacity else { return .full }
        mailbox.messages.append((message, now + self.configuration.expiry))
        return .stored
    }

    /// The oldest message of `channel`, if there is one.
    mutating func take(from channel: ChannelName, at now: Instant) -> LayerMessage? {
        guard let mailbox = self.mailboxes[channel] else { return nil }
        self.dropExpired(mailbox, now)
        let message = mailbox.messages.popFirst()?.message
        if mailbox.isUnused { self.mailboxes.remove(mailbox) }
        return message
    }

    /// The oldest message of `channel`, or a place at the end of those who wait.
    mutating func take(from channel: ChannelName, _ id: ReaderID, _ reader: Reader, at now: Instant) -> Take {
        if self.cancelledEarly.remove(id) != nil { return .cancelled }
        if let message = self.take(from: channel, at: now) { return .message(message) }
        self.mailbox(of: channel).readers.append((id, reader))
        return .waiting
    }

    /// The reader's task was cancelled. Returns whom to tell, unless it has a message already or does not wait yet.
    mutating func cancel(_ id: ReaderID, on channel: ChannelName) -> Reader? {
        guard let mailbox = self.mailboxes[channel], let found = mailbox.readers.remove(where: { $0.id == id }) else {
            self.cancelledEarly.insert(id)
            return nil
        }
        if mailbox.isUnused { self.mailboxes.remove(mailbox) }
        return found.reader
    }

    /// The reader has its answer, and was cancelled.
    mutating func forget(_ id: ReaderID) { self.cancelledEarly.remove(id) }

    func readersWaiting(on channel: ChannelName) -> Int { self.mailboxes[channel]?.readers.count ?? 0 }

    private mutating func mailbox(of channel: ChannelName) -> Mailbox {
        if let mailbox = self.mailboxes[channel] { return mailbox }
        let mailbox = Mailbox(name: channel, capacity: self.configuration.capacity(of: channel))
        self.mailboxes.insert(mailbox)
        return mailbox
    }

    private mutating func dropExpired(_ mailbox: Mailbox, _ now: Instant) {
        var count = 0
        while let first = mailbox.messages.first, first.expires <= now {
            _ = mailbox.messages.popFirst()
            count += 1
        }
        if count > 0 { self.expired.append((mailbox.name.text, count)) }
    }

    /// What nobody reads and nobody writes to any more goes too, two mailboxes at a time.
    private mutating func sweepMailboxes(_ now: Instant) {
        for _ in 0..<2 {
            guard let mailbox = self.mailboxes.next() else { return }
            self.dropExpired(mailbox, now)
            if mailbox.isUnused { self.mailboxes.remove(mailbox) }
        }
    }
}

// MARK: - Groups

extension MemoryState {
    private final class Group: MemoryRosterEntry {
        let name: GroupName
        var place = 0
        var audience = Audience()
        private(set) var members: [(channel: ChannelName, expires: Instant)] = []
        private var places: [ChannelName: Int] = [:]
        /// Where the next look for expired members begins.
        private var cursor = 0
        var isUnused: Bool { self.members.isEmpty && self.audience.feeds.isEmpty }

        init(name: GroupName) { self.name = name }

        func add(_ channel: ChannelName, until expires: Instant) {
            if let place = self.places[channel] {
                self.members[place].expires = expires
            } else {
                self.places[channel] = self.members.count
                self.members.append((channel, expires))
                self.audience.hasChannels = true
            }
        }

        func remove(_ channel: ChannelName) {
            guard let place = self.places.removeValue(forKey: channel) else { return }
            let last = self.members.removeLast()
            if place < self.members.count {
                self.members[place] = last
                self.places[last.channel] = place
            }
            self.audience.hasChannels = !self.members.isEmpty
        }

        func removeAll() {
            self.members = []
            self.places = [:]
            self.audience.hasChannels = false
        }

        /// Looks at the next few members, and removes those whose time is over.
        func sweep(_ count: Int, _ now: Instant) {
            for _ in 0..<min(count, self.members.count) {
                self.cursor =
                    self.cursor == 0 || self.cursor > self.members.count ? self.members.count - 1 : self.cursor - 1
                guard self.members.indices.contains(self.cursor) else { return }
                if self.members[self.cursor].expires <= now { self.remove(self.members[self.cursor].channel) }
            }
        }
    }

    mutating func add(_ channel: ChannelName, to group: GroupName, at now: Instant) {
        for _ in 0..<2 { self.sweepGroup(now) }
        self.group(group).add(channel, until: now + self.configuration.groupExpiry)
    }

    mutating func discard(_ channel: ChannelName, from name: GroupName) {
        guard let group = self.groups[name] else { return }
        group.remove(channel)
        if group.isUnused { self.groups.remove(group) }
    }

    /// `nil` when the layer is closed.
    func audience(of group: GroupName) -> Audience? {
        self.isClosed ? nil : self.groups[group]?.audience ?? Audience()
    }

    /// Puts `message` into every member channel of `group`.
    ///
    /// - Returns: the waiting readers who get it, and how many channels were full.
    mutating func distribute(
        _ message: LayerMessage, to name: GroupName, at now: Instant
    ) -> (readers: [Reader], full: Int) {
        guard let group = self.groups[name] else { return ([], 0) }
        var readers: [Reader] = []
        var full = 0
        for (channel, expires) in group.members {
            guard expires > now else {
                group.remove(channel)
                continue
            }
            switch self.deposit(message, in: channel, at: now) {
            case .taken(let reader): readers.append(reader)
            case .full: full += 1
            case .stored: break
            }
        }
        if group.isUnused { self.groups.remove(group) }
        return (readers, full)
    }

    private mutating func group(_ name: GroupName) -> Group {
        if let group = self.groups[name] { return group }
        let group = Group(name: name)
        self.groups.insert(group)
        return group
    }

    private mutating func sweepGroup(_ now: Instant) {
        guard let group = self.groups.next() else { return }
        group.sweep(8, now)
        if group.isUnused { self.groups.remove(group) }
    }
}

// MARK: - Feeds

extension MemoryState {
    /// `false` when the layer is closed.
    mutating func open(_ feed: MemoryFeed) -> Bool {
        guard !self.isClosed else { return false }
        self.follows[ObjectIdentifier(feed)] = (feed, [])
        return true
    }

    /// `false` when the feed or the layer is closed.
    mutating func follow(_ group: GroupName, by feed: MemoryFeed) -> Bool {
        let id = ObjectIdentifier(feed)
        guard self.follows[id] != nil else { return false }
        if self.follows[id]?.groups.insert(group).inserted == true { self.group(group).audience.feeds.append(feed) }
        return true
    }

    mutating func unfollow(_ name: GroupName, by feed: MemoryFeed) {
        guard self.follows[ObjectIdentifier(feed)]?.groups.remove(name) != nil else { return }
        self.remove(feed, from: name)
    }

    mutating func close(_ feed: MemoryFeed) {
        guard let (_, groups) = self.follows.removeValue(forKey: ObjectIdentifier(feed)) else { return }
        for name in groups { self.remove(feed, from: name) }
    }

    private mutating func remove(_ feed: MemoryFeed, from name: GroupName) {
        guard let group = self.groups[name] else { return }
        group.audience.feeds.removeAll { $0 === feed }
        if group.isUnused { self.groups.remove(group) }
    }
}

// MARK: - History

extension MemoryState {
    /// - Returns: what became of the message, and whether the caller has to deliver what waits for the group: somebody
    ///   else may be doing that already.
    mutating func publish(
        _ message: LayerMessage, to group: GroupName, keeping options: HistoryOptions, at now: Instant
    ) -> (result: PublishResult, delivers: Bool) {
        let time = self.start.duration(to: now)
        let (result, sent) = self.history.publish(message, toGroup: group, keeping: options, at: time)
        guard let sent else { return (result, false) }
        let audience = options.audience ?? group
        let isFirst = self.waiting[audience] == nil
        self.waiting[audience, default: .init()].append(sent)
        return (result, isFirst)
    }

    mutating func page(of group: GroupName, _ query: HistoryQuery, at now: Instant) -> HistoryPage {
        self.history.page(of: group, query, at: self.start.duration(to: now))
    }

    /// Puts a message behind what waits for the group, if something does: it must not come before what its sender
    /// published.
    mutating func isWaiting(_ message: LayerMessage, for group: GroupName) -> Bool {
        guard !self.waiting.isEmpty, self.waiting[group] != nil else { return false }
        self.waiting[group]?.append(message)
        return true
    }

    /// The next message to deliver; after `nil` nobody delivers for the group.
    mutating func nextWaiting(of group: GroupName) -> (message: LayerMessage, audience: Audience)? {
        guard let message = self.waiting[group]?.popFirst(), let audience = self.audience(of: group) else {
            self.waiting[group] = nil
            return nil
        }
        return (message, audience)
    }
}

// MARK: - The end

extension MemoryState {
    /// Forgets messages, memberships and what is kept of groups. Readers go on waiting, feeds go on following.
    mutating func flush() {
        self.history.removeAll()
        self.presence.removeAll()
        for mailbox in self.mailboxes.all.reversed() {
            _ = mailbox.messages.takeAll()
            if mailbox.isUnused { self.mailboxes.remove(mailbox) }
        }
        for group in self.groups.all.reversed() {
            group.removeAll()
            if group.isUnused { self.groups.remove(group) }
        }
    }

    mutating func close() -> (readers: [Reader], feeds: [MemoryFeed]) {
        self.isClosed = true
        let readers = self.mailboxes.all.flatMap { $0.readers.takeAll().map(\.reader) }
        let feeds = self.follows.values.map(\.feed)
        self.mailboxes = .init()
        self.groups = .init()
        self.follows = [:]
        self.history.removeAll()
        self.presence.removeAll()
        return (readers, feeds)
    }
}
