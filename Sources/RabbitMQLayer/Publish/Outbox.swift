import ChannelLayer
import Synchronization

/// Where senders of any thread leave messages, and the publishing thread fetches them.
final class Outbox: Sendable {
    private let state: Mutex<OutboxState>
    private let observer: (any LayerObserver)?
    let waker = Waker()

    init(_ configuration: RabbitMQConfiguration, observer: (any LayerObserver)?) {
        self.state = Mutex(
            OutboxState(
                messages: configuration.sendQueueLimit, bytes: configuration.sendQueueBytes,
                timeout: configuration.timeout))
        self.observer = observer
    }

    /// Takes a message, or refuses it at once. Never waits.
    func offer(_ submission: Submission) {
        if let error = self.take(submission) { self.tell([Outcome(submission: submission, result: .failed(error))]) }
    }

    /// As `offer`, for whoever holds a lock: a refusal is told to nobody else.
    func take(_ submission: Submission) -> LayerError? {
        switch self.state.withLock({ $0.offer(submission) }) {
        case .taken(let mustWake):
            if mustWake { self.waker.wake() }
            return nil
        case .refused(let error): return error
        }
    }

    /// Answers those who have waited too long. Called by another thread than the publishing one, which may be stuck in a
    /// full socket.
    func expire(_ now: ContinuousClock.Instant) { self.change { $0.expire(now) } }

    func close() {
        self.state.withLock { $0.close() }
        self.waker.wake()
    }

    var isClosing: Bool { self.state.withLock { $0.isClosing } }
    var isEmpty: Bool { self.state.withLock { $0.isEmpty } }

    // MARK: For the publishing thread

    func connected() { self.state.withLock { $0.connected() } }
    func blocked(_ error: LayerError?) { self.state.withLock { $0.blocked(error) } }
    func lost(_ error: LayerError) { self.change { $0.lost(error) } }
    func ended() { self.change { $0.ended() } }
    func next(limit: Int) -> OutboxState.Next { self.state.withLock { $0.next(limit: limit) } }
    func settle(_ number: UInt64, multiple: Bool, isTaken: Bool) {
        self.change { $0.settle(number, multiple: multiple, isTaken: isTaken) }
    }
    func declared(queue: String) { self.state.withLock { $0.declared(queue: queue) } }
    func vanished(queue: String) { self.state.withLock { $0.vanished(queue: queue) } }
    func refused(queue: String, _ error: LayerError) { self.change { $0.refused(queue: queue, error) } }

    private func change(_ change: (inout OutboxState) -> [Outcome]) {
        self.tell(self.state.withLock { change(&$0) })
    }

    private func tell(_ outcomes: [Outcome]) {
        for outcome in outcomes { outcome.tell(self.observer) }
    }
}
