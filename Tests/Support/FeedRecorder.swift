public import ChannelLayer
import Synchronization

/// Hears a feed and keeps what it heard.
public final class FeedRecorder: GroupFeedListener {
    public struct Arrival: Sendable {
        public let message: LayerMessage
        public let group: GroupName
    }

    private struct State {
        var arrivals: [Arrival] = []
        var interruptions: [LayerError] = []
        var restorations = 0
        var waiters: [(isDue: @Sendable (borrowing State) -> Bool, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())

    public init() {}

    public func arrived(_ message: LayerMessage, in group: GroupName) {
        self.change { $0.arrivals.append(Arrival(message: message, group: group)) }
    }

    public func feedInterrupted(_ reason: LayerError) { self.change { $0.interruptions.append(reason) } }

    public func feedRestored() { self.change { $0.restorations += 1 } }

    /// What arrived so far.
    public var arrivals: [Arrival] { self.state.withLock { $0.arrivals } }
    public var interruptions: [LayerError] { self.state.withLock { $0.interruptions } }
    public var restorations: Int { self.state.withLock { $0.restorations } }

    /// Waits until `count` messages arrived, or the task is cancelled, and returns all that did.
    @discardableResult
    public func arrivals(_ count: Int) async -> [Arrival] {
        await self.wait { $0.arrivals.count >= count }
        return self.arrivals
    }

    /// Waits until the feed was restored `count` times, or the task is cancelled.
    public func restorations(_ count: Int) async { await self.wait { $0.restorations >= count } }

    private func change(_ change: (inout State) -> Void) {
        let due = self.state.withLock { state in
            change(&state)
            return Self.takeDue(&state, all: false)
        }
        for continuation in due { continuation.resume() }
    }

    private func wait(_ isDue: @escaping @Sendable (borrowing State) -> Bool) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let due = self.state.withLock { state in
                    state.waiters.append((isDue, continuation))
                    return Self.takeDue(&state, all: Task.isCancelled)
                }
                for continuation in due { continuation.resume() }
            }
        } onCancel: {
            for continuation in self.state.withLock({ Self.takeDue(&$0, all: true) }) { continuation.resume() }
        }
    }

    private static func takeDue(_ state: inout State, all: Bool) -> [CheckedContinuation<Void, Never>] {
        var due: [CheckedContinuation<Void, Never>] = []
        var left: [(isDue: @Sendable (borrowing State) -> Bool, continuation: CheckedContinuation<Void, Never>)] = []
        for waiter in state.waiters {
            if all || waiter.isDue(state) { due.append(waiter.continuation) } else { left.append(waiter) }
        }
        state.waiters = left
        return due
    }
}

/// Keeps what a layer says it dropped.
public final class DropRecorder: LayerObserver {
    private let counts = Mutex<[LayerDrop: [String: Int]]>([:])

    public init() {}

    public func dropped(_ reason: LayerDrop, name: String, count: Int) {
        self.counts.withLock { $0[reason, default: [:]][name, default: 0] += count }
    }

    /// Messages dropped for `reason`, by channel or group.
    public func dropped(_ reason: LayerDrop) -> [String: Int] { self.counts.withLock { $0[reason] ?? [:] } }
}

/// A clock that stands still until a test moves it.
public final class MovableClock: Sendable {
    private let instant = Mutex(ContinuousClock.now)

    public init() {}

    public var now: ContinuousClock.Instant { self.instant.withLock { $0 } }

    public func advance(by duration: Duration) { self.instant.withLock { $0 += duration } }
}
