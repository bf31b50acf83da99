import ChannelLayer
import Glibc
import NIOCore
import Synchronization

/// The log as this process reads and writes it, shared by whoever calls the layer and the thread that reads: a stream queue
/// of which each process makes the same histories. What is kept is thus in the memory of every process that uses it, and the
/// log is what remains when all of them are gone.
///
/// What is wanted is written to the log, and answered when it is read there: so its place among everybody else's is known.
/// Publications of all processes are heard in the order of their offsets; a plain message to the same group goes another way
/// and may come before or after them.
///
/// This file says when something can be done; `GroupLog+Store` what is wanted, `+Writing` and `+Reading` how it comes into the
/// log and out of it, `+Copies` what those get who do not read it.
final class GroupLog: Sendable {
    typealias Publish = @Sendable (Result<PublishResult, LayerError>) -> Void
    typealias Read = @Sendable (Result<HistoryPage, LayerError>) -> Void
    typealias Told = @Sendable (LayerError?) -> Void

    enum Answer {
        case publish(Publish)
        case read(GroupName, HistoryQuery, Read)
        case told(Told)

        func fail(_ error: LayerError) {
            switch self {
            case .publish(let completion): completion(.failure(error))
            case .read(_, _, let completion): completion(.failure(error))
            case .told(let completion): completion(error)
            }
        }
    }

    enum Phase {
        /// Nobody needs it yet.
        case asleep
        /// What was there before is read; what is wanted waits.
        case catchingUp
        case live
        case closed
    }

    /// The entry by which a process that begins to read knows that it has read everything that was before.
    struct Hello {
        let number: UInt64
        let written: ContinuousClock.Instant
        /// When the broker took it.
        var taken: ContinuousClock.Instant?
        var isRefused = false
    }

    struct State {
        var phase = Phase.asleep
        var log = LogState()
        var lastNumber: UInt64 = 0
        /// What ends the catching up when it arrives.
        var hello: Hello?
        /// When something was read last.
        var lastArrival: ContinuousClock.Instant = .now
        /// What was written and not read yet, by number.
        var awaited: [UInt64: (answer: Answer, deadline: ContinuousClock.Instant)] = [:]
        /// What waits for the log to be live, with what to do then.
        var waiting: [(answer: Answer, deadline: ContinuousClock.Instant, begin: @Sendable (GroupLog) -> Void)] = []
        /// What waited is being begun; what comes now waits behind it.
        var isBeginning = false
        /// By group the newest position that was heard as a copy while the log was not live yet.
        var copied: [GroupName: StreamPosition] = [:]
        /// What this process says of its clients.
        var own: [GroupName: [String: Presence]] = [:]
        var nextAlive: ContinuousClock.Instant = .now
        var isConnected = false
        var trouble: LayerError?
    }

    /// Looks that wait, at most.
    private static let mostWaiting = 10_000

    let waker = Waker()
    let state = Mutex(State())
    let isReading = Atomic(false)
    let process: String
    let configuration: RabbitMQConfiguration
    let outbox: Outbox
    let local: MemoryLayer
    let now: @Sendable () -> Int64

    /// - Parameters:
    ///   - local: hands on what is heard.
    ///   - now: milliseconds since 1970.
    init(
        _ configuration: RabbitMQConfiguration, process: String, outbox: Outbox, local: MemoryLayer,
        now: @escaping @Sendable () -> Int64 = GroupLog.wallClock
    ) {
        self.configuration = configuration
        self.process = process
        self.outbox = outbox
        self.local = local
        self.now = now
    }

    /// Whether publications are heard from the log; their copies for others are to be passed over then.
    var isLive: Bool { self.isReading.load(ordering: .relaxed) }

    /// Whether the thread has something to do.
    var isWanted: Bool {
        self.state.withLock { state in
            if case .asleep = state.phase { return false }
            return true
        }
    }

    var isClosed: Bool { self.state.withLock { if case .closed = $0.phase { true } else { false } } }

    // MARK: When

    /// Does something now, or when everything that was there before is read.
    func whenLive(_ answer: Answer, _ begin: @escaping @Sendable (GroupLog) -> Void) {
        let deadline = ContinuousClock.now + self.configuration.timeout
        let outcome = self.state.withLock { state -> (isNow: Bool, error: LayerError?, mustWake: Bool) in
            switch state.phase {
            case .live where !state.isBeginning: return (true, nil, false)
            case .closed: return (false, OutboxState.closed, false)
            case .asleep, .catchingUp, .live:
                guard state.waiting.count < Self.mostWaiting else {
                    return (false, state.trouble ?? LayerError(.unavailable, "RabbitMQ's log is not read yet"), false)
                }
                state.waiting.append((answer, deadline, begin))
                guard case .asleep = state.phase else { return (false, nil, false) }
                state.phase = .catchingUp
                return (false, nil, true)
            }
        }
        if outcome.mustWake { self.waker.wake() }
        if let error = outcome.error { return answer.fail(error) }
        if outcome.isNow { begin(self) }
    }

    /// Begins what waited for the log, in order.
    func beginWaiting() {
        while true {
            let batch = self.state.withLock { state in
                if state.waiting.isEmpty { state.isBeginning = false }
                defer { state.waiting = [] }
                return state.waiting.map(\.begin)
            }
            guard !batch.isEmpty else { return }
            for begin in batch { begin(self) }
        }
    }

    // MARK: Time, and the end

    /// Several times a second, or once.
    func tick(_ now: ContinuousClock.Instant) {
        let life = self.configuration.limits.presenceExpiry
        let late = self.state.withLock { state -> [(Answer, LayerError)] in
            self.greetAgain(now, &state)
            if state.isConnected, state.phase == .live {
                state.log.forgetSilent(for: life, now: now)
                if now >= state.nextAlive, !state.own.isEmpty {
                    state.nextAlive = now + life / 3
                    self.write(.alive, "", &state)
                }
            }
            let error = state.trouble ?? LayerError(.unavailable, "RabbitMQ did not answer in time")
            let late = state.waiting.filter { $0.deadline <= now }.map { ($0.answer, error) }
            state.waiting.removeAll { $0.deadline <= now }
            let overdue = state.awaited.filter { $0.value.deadline <= now }
            for number in overdue.keys { state.awaited[number] = nil }
            return late + overdue.values.map { ($0.answer, error) }
        }
        for (answer, error) in late { answer.fail(error) }
    }

    func close() {
        self.isReading.store(false, ordering: .relaxed)
        let ended = self.state.withLock { state in
            state.phase = .closed
            defer {
                state.waiting = []
                state.awaited = [:]
                state.own = [:]
            }
            return state.waiting.map(\.answer) + state.awaited.values.map(\.answer)
        }
        for answer in ended { answer.fail(OutboxState.closed) }
        self.waker.wake()
    }

    /// Milliseconds since 1970.
    static func wallClock() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}
