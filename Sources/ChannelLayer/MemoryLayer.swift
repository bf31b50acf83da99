import Synchronization

/// The layer of one process: no broker, nothing outlives it. What `carillon serve` runs on, and tests.
///
/// A publish to a group that gateways follow takes one lock, looks the group up once, and calls the listeners on the
/// sender's thread, outside the lock; nothing is allocated or encoded. Messages arrive as they were sent: JSON text stays
/// JSON text.
///
/// Capacity is counted for each channel's full name, so that of the channels of one process only the full one refuses.
public final class MemoryLayer: ChannelLayer {
    let state: Mutex<MemoryState>
    private let observer: (any LayerObserver)?
    let now: @Sendable () -> ContinuousClock.Instant
    private let processName: String
    private let lastID = Atomic<UInt64>(0)

    /// - Parameters:
    ///   - observer: is told what is dropped.
    ///   - now: the clock; a test moves its own.
    public init(
        configuration: LayerConfiguration = .init(), observer: (any LayerObserver)? = nil,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.state = Mutex(MemoryState(configuration: configuration))
        self.observer = observer
        self.now = now
        self.processName = String(UInt64.random(in: .min ... .max), radix: 36)
    }

    static let closed = LayerError(.closed, "the layer was closed")
    private static let cancelled = LayerError(.cancelled, "the waiting task was cancelled")

    /// What the layer holds, for tests of what it lets go.
    package var holdings: (mailboxes: Int, groups: Int, cancelledEarly: Int) { self.state.withLock { $0.holdings } }

    /// How many tasks wait for a message of `channel`, for tests.
    package func readersWaiting(on channel: ChannelName) -> Int {
        self.state.withLock { $0.readersWaiting(on: channel) }
    }

    // MARK: Sending to a channel

    public func send(_ message: LayerMessage, to channel: ChannelName) async throws(LayerError) {
        if let error = self.deposit(message, in: channel) { throw error }
    }

    public func submit(
        _ message: LayerMessage, to channel: ChannelName, completion: (@Sendable (LayerError?) -> Void)?
    ) {
        let error = self.deposit(message, in: channel)
        if let completion { return completion(error) }
        if let error { self.observer?.dropped(error.drop, name: channel.text, count: 1) }
    }

    private func deposit(_ message: LayerMessage, in channel: ChannelName) -> LayerError? {
        if let error = Self.refusal(of: message) { return error }
        let now = self.now()
        let (outcome, expired) = self.state.withLock { state -> (MemoryState.Deposit?, [(name: String, count: Int)]) in
            guard !state.isClosed else { return (nil, []) }
            return (state.deposit(message, in: channel, at: now), state.takeExpired())
        }
        self.tell(expired)
        switch outcome {
        case nil: return Self.closed
        case .stored: return nil
        case .taken(let reader):
            reader.resume(returning: .success(message))
            return nil
        case .full:
            return LayerError(.channelFull, "\(channel) holds as many messages as it may; it is not read fast enough")
        }
    }

    // MARK: Receiving

    public func receive(from channel: ChannelName) async throws(LayerError) -> LayerMessage {
        guard !Task.isCancelled else { throw Self.cancelled }
        // Usually something is there already, and nothing has to be set up for waiting.
        let now = self.now()
        let (message, expired, isClosed) = self.state.withLock { state in
            (state.take(from: channel, at: now), state.takeExpired(), state.isClosed)
        }
        self.tell(expired)
        if let message { return message }
        guard !isClosed else { throw Self.closed }
        return try await self.wait(on: channel)
    }

    private func wait(on channel: ChannelName) async throws(LayerError) -> LayerMessage {
        let id = self.lastID.wrappingAdd(1, ordering: .relaxed).newValue
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { (reader: MemoryState.Reader) in
                let now = self.now()
                let outcome = self.state.withLock { state -> MemoryState.Take? in
                    state.isClosed ? nil : state.take(from: channel, id, reader, at: now)
                }
                switch outcome {
                case nil: reader.resume(returning: .failure(Self.closed))
                case .message(let message): reader.resume(returning: .success(message))
                case .cancelled: reader.resume(returning: .failure(Self.cancelled))
                case .waiting: break
                }
            }
        } onCancel: {
            self.state.withLock { $0.cancel(id, on: channel) }?.resume(returning: .failure(Self.cancelled))
        }
        // Cancelled when the message was there already: the message counts.
        if Task.isCancelled { self.state.withLock { $0.forget(id) } }
        return try outcome.get()
    }

    public func newChannel(prefix: String) async throws(LayerError) -> ChannelName {
        let local = self.lastID.wrappingAdd(1, ordering: .relaxed).newValue
        return try ChannelName("\(prefix).\(self.processName)!\(String(local, radix: 36))")
    }

    // MARK: Groups

    public func groupAdd(_ group: GroupName, _ channel: ChannelName) async throws(LayerError) {
        let now = self.now()
        let isClosed = self.state.withLock { state in
            if !state.isClosed { state.add(channel, to: group, at: now) }
            return state.isClosed
        }
        guard !isClosed else { throw Self.closed }
    }

    public func groupDiscard(_ group: GroupName, _ channel: ChannelName) async throws(LayerError) {
        self.state.withLock { $0.discard(channel, from: group) }
    }

    public func send(_ message: LayerMessage, toGroup group: GroupName) async throws(LayerError) {
        if let error = self.distribute(message, to: group) { throw error }
    }

    public func submit(
        _ message: LayerMessage, toGroup group: GroupName, completion: (@Sendable (LayerError?) -> Void)?
    ) {
        let error = self.distribute(message, to: group)
        if let completion { return completion(error) }
        if let error { self.observer?.dropped(error.drop, name: group.text, count: 1) }
    }

    private func distribute(_ message: LayerMessage, to group: GroupName) -> LayerError? {
        if let error = Self.refusal(of: message) { return error }
        let audience = self.state.withLock {
            $0.isWaiting(message, for: group) ? .some(.init()) : $0.audience(of: group)
        }
        guard let audience else { return Self.closed }
        self.deliver(message, to: audience, of: group)
        return nil
    }

    /// Hands on, one after the other, what waits to be heard in `group`.
    func deliverWaiting(of group: GroupName) {
        while let (message, audience) = self.state.withLock({ $0.nextWaiting(of: group) }) {
            self.deliver(message, to: audience, of: group)
        }
    }

    private func deliver(_ message: LayerMessage, to audience: MemoryState.Audience, of group: GroupName) {
        for feed in audience.feeds { feed.deliver(message, in: group) }
        if audience.hasChannels { self.distributeToChannels(message, of: group) }
    }

    private func distributeToChannels(_ message: LayerMessage, of group: GroupName) {
        let now = self.now()
        let (readers, full, expired) = self.state.withLock { state in
            let (readers, full) = state.distribute(message, to: group, at: now)
            return (readers, full, state.takeExpired())
        }
        for reader in readers { reader.resume(returning: .success(message)) }
        self.tell(expired)
        if full > 0 { self.observer?.dropped(.overCapacity, name: group.text, count: full) }
    }

    // MARK: As the part of another layer that holds what is in this process

    /// Hands a message that came from elsewhere to the feeds and channels that are in `group` here.
    ///
    /// - Returns: whether anybody is.
    package func deliver(_ message: LayerMessage, toGroup group: GroupName) -> Bool {
        guard let audience = self.state.withLock({ $0.audience(of: group) }) else { return false }
        self.deliver(message, to: audience, of: group)
        return audience.hasChannels || !audience.feeds.isEmpty
    }

    /// Whether a feed or channel is in `group` here.
    package func hasMembers(_ group: GroupName) -> Bool {
        guard let audience = self.state.withLock({ $0.audience(of: group) }) else { return false }
        return audience.hasChannels || !audience.feeds.isEmpty
    }

    // MARK: Feeds

    public func openFeed(_ listener: any GroupFeedListener) -> any GroupFeed {
        let feed = MemoryFeed(listener, of: self)
        if !self.state.withLock({ $0.open(feed) }) { feed.end() }
        return feed
    }

    func follow(_ group: GroupName, by feed: MemoryFeed) -> Bool {
        self.state.withLock { $0.follow(group, by: feed) }
    }

    func unfollow(_ group: GroupName, by feed: MemoryFeed) { self.state.withLock { $0.unfollow(group, by: feed) } }

    func forget(_ feed: MemoryFeed) { self.state.withLock { $0.close(feed) } }

    // MARK: The end

    public func flush() async throws(LayerError) { self.state.withLock { $0.flush() } }

    public func close() async {
        let (readers, feeds) = self.state.withLock { $0.close() }
        for reader in readers { reader.resume(returning: .failure(Self.closed)) }
        for feed in feeds { feed.end() }
    }

    // MARK: What went wrong

    static func refusal(of message: LayerMessage) -> LayerError? {
        message.reservedKey.map {
            LayerError(.invalidMessage, "the key \($0) is reserved for the layers; name it otherwise")
        }
    }

    private func tell(_ expired: [(name: String, count: Int)]) {
        for (name, count) in expired { self.observer?.dropped(.expired, name: name, count: count) }
    }
}
