import Synchronization

/// The layer of one process: no broker, nothing outlives it. What `carillon serve` runs on, and tests.
///
/// A publish to a group that gateways follow takes one lock, looks the group up once, and calls the listeners on the
/// sender's thread, outside the lock.
public final class MemoryLayer: ChannelLayer {
    private let state: Mutex<MemoryState>
    private let observer: (any LayerObserver)?
    private let now: @Sendable () -> ContinuousClock.Instant
    private let processName: String
    private let lastLocalName = Atomic<UInt64>(0)

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

    // MARK: Channels

    public func send(_ message: LayerMessage, to channel: ChannelName) async throws(LayerError) {
        if let error = self.deposit(message, in: channel) { throw error }
    }

    public func submit(
        _ message: LayerMessage, to channel: ChannelName, completion: (@Sendable (LayerError?) -> Void)?
    ) {
        let error = self.deposit(message, in: channel)
        if completion == nil, error?.code == .channelFull {
            self.observer?.dropped(.overCapacity, name: channel.text, count: 1)
        }
        completion?(error)
    }

    private func deposit(_ message: LayerMessage, in channel: ChannelName) -> LayerError? {
        let now = self.now()
        let (outcome, expired) = self.state.withLock { state in
            (state.deposit(message, in: channel, at: now), state.takeExpired())
        }
        self.tell(expired)
        switch outcome {
        case .stored: return nil
        case .taken(let reader):
            reader.resume(returning: .success(message))
            return nil
        case .full:
            return LayerError(.channelFull, "\(channel) holds as many messages as it may; they are not read fast enough")
        case .closed: return Self.closed
        }
    }

    public func receive(from channel: ChannelName) async throws(LayerError) -> LayerMessage {
        let reader = self.state.withLock { $0.makeReaderID() }
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: MemoryState.Reader) in
                let now = self.now()
                let (outcome, expired) = self.state.withLock { state in
                    (state.take(from: channel, reader: reader, continuation, at: now), state.takeExpired())
                }
                self.tell(expired)
                switch outcome {
                case .message(let message): continuation.resume(returning: .success(message))
                case .closed: continuation.resume(returning: .failure(Self.closed))
                case .cancelled: continuation.resume(returning: .failure(Self.cancelled))
                case .waiting: break
                }
            }
        } onCancel: {
            self.state.withLock { $0.cancel(reader, on: channel) }?.resume(returning: .failure(Self.cancelled))
        }
        // Cancelled after the message was there: the message counts.
        if Task.isCancelled { self.state.withLock { $0.forget(reader) } }
        return try outcome.get()
    }

    public func newChannel(prefix: String) async throws(LayerError) -> ChannelName {
        let local = self.lastLocalName.wrappingAdd(1, ordering: .relaxed).newValue
        return try ChannelName("\(prefix).\(self.processName)!\(String(local, radix: 36))")
    }

    // MARK: Groups

    public func groupAdd(_ group: GroupName, _ channel: ChannelName) async throws(LayerError) {
        let now = self.now()
        self.state.withLock { $0.add(channel, to: group, at: now) }
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
        completion?(error)
    }

    private func distribute(_ message: LayerMessage, to group: GroupName) -> LayerError? {
        let audience = self.state.withLock { $0.audience(of: group) }
        guard let audience else { return Self.closed }
        for listener in audience.listeners { listener.arrived(message, in: group) }
        guard audience.hasChannels else { return nil }
        let now = self.now()
        let (readers, full, expired) = self.state.withLock { state in
            let (readers, full) = state.distribute(message, to: group, at: now)
            return (readers, full, state.takeExpired())
        }
        for reader in readers { reader.resume(returning: .success(message)) }
        self.tell(expired)
        if full > 0 { self.observer?.dropped(.overCapacity, name: group.text, count: full) }
        return nil
    }

    public func openFeed(_ listener: any GroupFeedListener) -> any GroupFeed {
        MemoryFeed(layer: self, id: self.state.withLock { $0.open(listener) })
    }

    // MARK: The end

    public func flush() async throws(LayerError) {
        self.state.withLock { $0.flush() }
    }

    public func close() async {
        for reader in self.state.withLock({ $0.close() }) { reader.resume(returning: .failure(Self.closed)) }
    }

    private func tell(_ expired: [(name: String, count: Int)]) {
        for (name, count) in expired { self.observer?.dropped(.expired, name: name, count: count) }
    }

    private static let closed = LayerError(.closed, "the layer was closed")
    private static let cancelled = LayerError(.cancelled, "the waiting task was cancelled")

    /// One gateway's feed.
    private struct MemoryFeed: GroupFeed {
        let layer: MemoryLayer
        let id: MemoryState.FeedID

        func follow(_ group: GroupName, ready: @escaping @Sendable (LayerError?) -> Void) {
            let isOpen = self.layer.state.withLock { $0.follow(group, by: self.id) }
            ready(isOpen ? nil : MemoryLayer.closed)
        }

        func unfollow(_ group: GroupName) { self.layer.state.withLock { $0.unfollow(group, by: self.id) } }

        func close() { self.layer.state.withLock { $0.close(self.id) } }
    }
}
