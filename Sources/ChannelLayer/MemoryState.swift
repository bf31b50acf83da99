/// All that a `MemoryLayer` knows. A value: it never calls out; what must be resumed or told is returned.
struct MemoryState {
    typealias Reader = CheckedContinuation<Result<LayerMessage, LayerError>, Never>
    typealias Instant = ContinuousClock.Instant
    typealias ReaderID = UInt64
    typealias FeedID = UInt64

    enum Deposit { case stored, taken(Reader), full, closed }
    enum Take { case message(LayerMessage), waiting, cancelled, closed }

    /// Who hears a group.
    struct Audience {
        fileprivate(set) var listeners: [any GroupFeedListener] = []
        fileprivate(set) var hasChannels = false
    }

    private struct Mailbox {
        var messages: [(message: LayerMessage, expires: Instant)] = []
        /// How many at the front of `messages` are gone already; cut off in larger pieces, so that taking is O(1).
        var taken = 0
        var readers: [(id: ReaderID, reader: Reader)] = []

        var count: Int { self.messages.count - self.taken }
        var isUnused: Bool { self.count == 0 && self.readers.isEmpty }

        mutating func popFirst() -> LayerMessage? {
            guard self.taken < self.messages.count else { return nil }
            let message = self.messages[self.taken].message
            self.taken += 1
            if self.taken > 32, self.taken * 2 > self.messages.count {
                self.messages.removeFirst(self.taken)
                self.taken = 0
            }
            return message
        }
    }

    private struct Group {
        var members: [ChannelName: Instant] = [:]
        /// In the order they joined.
        var order: [ChannelName] = []
        var feeds: [FeedID] = []
        var audience = Audience()
        var isUnused: Bool { self.members.isEmpty && self.feeds.isEmpty }
    }

    private let configuration: LayerConfiguration
    private var mailboxes: [ChannelName: Mailbox] = [:]
    private var groups: [GroupName: Group] = [:]
    private var feeds: [FeedID: any GroupFeedListener] = [:]
    /// Readers whose task was cancelled before they began to wait.
    private var cancelledEarly: Set<ReaderID> = []
    private var lastID: UInt64 = 0
    private var isClosed = false
    private var expired: [(name: String, count: Int)] = []
    private var nextSweep: Instant?

    init(configuration: LayerConfiguration) { self.configuration = configuration }

    // MARK: Channels

    mutating func deposit(_ message: LayerMessage, in channel: ChannelName, at now: Instant) -> Deposit {
        guard !self.isClosed else { return .closed }
        self.sweepNowAndThen(now)
        var mailbox = self.mailboxes.removeValue(forKey: channel) ?? Mailbox()
        defer { if !mailbox.isUnused { self.mailboxes[channel] = mailbox } }
        if !mailbox.readers.isEmpty { return .taken(mailbox.readers.removeFirst().reader) }
        self.dropExpired(&mailbox, channel, now)
        guard mailbox.count < self.configuration.capacity(of: channel) else { return .full }
        mailbox.messages.append((message, now + self.configuration.expiry))
        return .stored
    }

    mutating func makeReaderID() -> ReaderID {
        self.lastID += 1
        return self.lastID
    }

    mutating func take(from channel: ChannelName, reader: ReaderID, _ waiting: Reader, at now: Instant) -> Take {
        if self.cancelledEarly.remove(reader) != nil { return .cancelled }
        guard !self.isClosed else { return .closed }
        var mailbox = self.mailboxes.removeValue(forKey: channel) ?? Mailbox()
        defer { if !mailbox.isUnused { self.mailboxes[channel] = mailbox } }
        self.dropExpired(&mailbox, channel, now)
        if let message = mailbox.popFirst() { return .message(message) }
        mailbox.readers.append((reader, waiting))
        return .waiting
    }

    /// The reader's task was cancelled. Returns whom to tell, unless the reader has a message already or does not wait yet.
    mutating func cancel(_ reader: ReaderID, on channel: ChannelName) -> Reader? {
        guard let index = self.mailboxes[channel]?.readers.firstIndex(where: { $0.id == reader }) else {
            self.cancelledEarly.insert(reader)
            return nil
        }
        let waiting = self.mailboxes[channel]?.readers.remove(at: index).reader
        if self.mailboxes[channel]?.isUnused == true { self.mailboxes[channel] = nil }
        return waiting
    }

    /// The reader has its answer.
    mutating func forget(_ reader: ReaderID) { self.cancelledEarly.remove(reader) }

    private mutating func dropExpired(_ mailbox: inout Mailbox, _ channel: ChannelName, _ now: Instant) {
        var count = 0
        while mailbox.taken < mailbox.messages.count, mailbox.messages[mailbox.taken].expires <= now {
            _ = mailbox.popFirst()
            count += 1
        }
        if count > 0 { self.expired.append((channel.text, count)) }
    }

    /// Once per expiry everything is looked through, so that what nobody reads and nobody writes to any more goes too.
    private mutating func sweepNowAndThen(_ now: Instant) {
        guard let due = self.nextSweep else {
            self.nextSweep = now + self.configuration.expiry
            return
        }
        guard now >= due else { return }
        self.nextSweep = now + self.configuration.expiry
        for (channel, var mailbox) in self.mailboxes {
            self.dropExpired(&mailbox, channel, now)
            self.mailboxes[channel] = mailbox.isUnused ? nil : mailbox
        }
    }

    mutating func takeExpired() -> [(name: String, count: Int)] {
        guard !self.expired.isEmpty else { return [] }
        defer { self.expired = [] }
        return self.expired
    }

    // MARK: Groups

    mutating func add(_ channel: ChannelName, to group: GroupName, at now: Instant) {
        var known = self.groups[group] ?? Group()
        if known.members.updateValue(now + self.configuration.groupExpiry, forKey: channel) == nil {
            known.order.append(channel)
        }
        known.audience.hasChannels = true
        self.groups[group] = known
    }

    mutating func discard(_ channel: ChannelName, from group: GroupName) {
        guard var known = self.groups[group], known.members.removeValue(forKey: channel) != nil else { return }
        known.order.removeAll { $0 == channel }
        known.audience.hasChannels = !known.members.isEmpty
        self.groups[group] = known.isUnused ? nil : known
    }

    /// `nil` when the layer is closed.
    func audience(of group: GroupName) -> Audience? {
        self.isClosed ? nil : self.groups[group]?.audience ?? Audience()
    }

    /// Puts `message` into every member channel of `group`.
    ///
    /// - Returns: the waiting readers who get it, and how many channels were full.
    mutating func distribute(
        _ message: LayerMessage, to group: GroupName, at now: Instant
    ) -> (readers: [Reader], full: Int) {
        guard let known = self.groups[group] else { return ([], 0) }
        var readers: [Reader] = []
        var full = 0
        for channel in known.order {
            guard let expires = known.members[channel] else { continue }
            guard expires > now else {
                self.discard(channel, from: group)
                continue
            }
            switch self.deposit(message, in: channel, at: now) {
            case .taken(let reader): readers.append(reader)
            case .full: full += 1
            case .stored, .closed: break
            }
        }
        return (readers, full)
    }

    // MARK: Feeds

    mutating func open(_ listener: any GroupFeedListener) -> FeedID {
        self.lastID += 1
        self.feeds[self.lastID] = listener
        return self.lastID
    }

    /// `false` when the feed or the layer is closed.
    mutating func follow(_ group: GroupName, by feed: FeedID) -> Bool {
        guard !self.isClosed, self.feeds[feed] != nil else { return false }
        var known = self.groups[group] ?? Group()
        if !known.feeds.contains(feed) { known.feeds.append(feed) }
        self.groups[group] = self.withListeners(known)
        return true
    }

    mutating func unfollow(_ group: GroupName, by feed: FeedID) {
        guard var known = self.groups[group], known.feeds.contains(feed) else { return }
        known.feeds.removeAll { $0 == feed }
        self.groups[group] = known.isUnused ? nil : self.withListeners(known)
    }

    mutating func close(_ feed: FeedID) {
        guard self.feeds.removeValue(forKey: feed) != nil else { return }
        for group in Array(self.groups.keys) { self.unfollow(group, by: feed) }
    }

    private func withListeners(_ group: Group) -> Group {
        var group = group
        group.audience.listeners = group.feeds.compactMap { self.feeds[$0] }
        return group
    }

    // MARK: The end

    mutating func flush() {
        for (channel, var mailbox) in self.mailboxes {
            mailbox.messages = []
            mailbox.taken = 0
            self.mailboxes[channel] = mailbox.isUnused ? nil : mailbox
        }
        for (group, var known) in self.groups {
            known.members = [:]
            known.order = []
            known.audience.hasChannels = false
            self.groups[group] = known.isUnused ? nil : known
        }
    }

    mutating func close() -> [Reader] {
        self.isClosed = true
        let readers = self.mailboxes.values.flatMap { $0.readers.map(\.reader) }
        self.mailboxes = [:]
        self.groups = [:]
        self.feeds = [:]
        return readers
    }
}
