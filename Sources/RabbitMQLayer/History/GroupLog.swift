import ChannelLayer
import Glibc
import NIOCore
import Synchronization

/// The log as this process reads and writes it, shared by whoever calls the layer and the thread that reads.
///
/// What is wanted is written to the log, and answered when it is read there: so its place among everybody else's is known.
final class GroupLog: Sendable {
    typealias Publish = @Sendable (Result<PublishResult, LayerError>) -> Void
    typealias Read = @Sendable (Result<HistoryPage, LayerError>) -> Void
    typealias Told = @Sendable (LayerError?) -> Void

    private enum Answer {
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

    private enum Phase {
        /// Nobody needs it yet.
        case asleep
        /// What was there before is read; what is wanted waits.
        case catchingUp
        case live
        case closed
    }

    private struct State {
        var phase = Phase.asleep
        var log = LogState()
        var lastNumber: UInt64 = 0
        /// The number of the hello whose arrival ends the catching up.
        var hello: UInt64?
        /// When the broker took it, and when something was read last.
        var helloTaken: ContinuousClock.Instant?
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
    /// How long what the broker took may not come back.
    private static let patience = Duration.seconds(10)
    /// Clients in one entry.
    private static let batch = 256
    /// How long the position of a group is known to which nobody publishes.
    private static let emptyLife = Duration.seconds(3_600)

    let waker = Waker()
    private let state = Mutex(State())
    private let isReading = Atomic(false)
    private let process: String
    private let configuration: RabbitMQConfiguration
    private let outbox: Outbox
    private let local: MemoryLayer
    private let now: @Sendable () -> Int64

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

    // MARK: What is wanted

    func publish(
        _ message: LayerMessage, toGroup group: GroupName, keeping options: HistoryOptions,
        completion: @escaping Publish
    ) {
        self.whenLive(.publish(completion)) { log in
            log.write(.publish(completion), group) { state in
                .publication(message, options, state.log.beginning(of: group, at: log.now()))
            }
        }
    }

    func readHistory(of group: GroupName, _ query: HistoryQuery, completion: @escaping Read) {
        self.whenLive(.read(group, query, completion)) { log in
            let (page, mustLook) = log.look(group, query)
            if let page { completion(.success(page)) }
            guard mustLook else { return }
            let answer = page == nil ? Answer.read(group, query, completion) : .told { _ in }
            let life = min(query.metaTimeToLive, Self.emptyLife)
            log.write(answer, group) { state in
                .look(state.log.beginning(of: group, at: log.now()), timeToLive: life)
            }
        }
    }

    /// What is known here, and whether the group must be asked for in the log: it has no position, or not for long.
    private func look(_ group: GroupName, _ query: HistoryQuery) -> (page: HistoryPage?, mustLook: Bool) {
        let now = Duration.milliseconds(self.now())
        return self.state.withLock { state in
            let time = max(now, .milliseconds(state.log.time))
            guard let (page, end) = state.log.histories.look(at: group, query, at: time) else { return (nil, true) }
            return (page, end - time < min(query.metaTimeToLive, Self.emptyLife) / 2)
        }
    }

    func removeHistory(of group: GroupName, completion: @escaping Told) {
        self.whenLive(.told(completion)) { log in log.write(.told(completion), group) { _ in .removal } }
    }

    func addPresence(_ presence: Presence, in group: GroupName, completion: @escaping Told) {
        self.whenLive(.told(completion)) { log in
            log.write(.told(completion), group) { state in
                state.own[group, default: [:]][presence.client] = presence
                return .present([presence])
            }
        }
    }

    func removePresence(of client: String, in group: GroupName, completion: @escaping Told) {
        self.whenLive(.told(completion)) { log in
            log.write(.told(completion), group) { state in
                state.own[group]?[client] = nil
                if state.own[group]?.isEmpty == true { state.own[group] = nil }
                return .absent(client: client)
            }
        }
    }

    func readPresence<Value: Sendable>(
        _ value: @escaping @Sendable (PresenceState) -> Value,
        completion: @escaping @Sendable (Result<Value, LayerError>) -> Void
    ) {
        self.whenLive(.told { if let error = $0 { completion(.failure(error)) } }) { log in
            completion(.success(value(log.state.withLock { $0.log.presence })))
        }
    }

    // MARK: Writing

    /// Does something now, or when everything that was there before is read.
    private func whenLive(_ answer: Answer, _ begin: @escaping @Sendable (GroupLog) -> Void) {
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

    /// Writes an entry, whose number the answer waits for.
    private func write(
        _ answer: Answer, _ group: GroupName, _ kind: (inout State) -> LogEntry.Kind
    ) {
        let deadline = ContinuousClock.now + self.configuration.timeout
        let time = self.now()
        // Offered under the lock: numbers, and what is known, are in the order of the log.
        let error = self.state.withLock { state -> LayerError? in
            if case .closed = state.phase { return OutboxState.closed }
            state.lastNumber += 1
            let number = state.lastNumber
            let entry = LogEntry(
                process: self.process, number: number, time: time, group: group.text, kind: kind(&state))
            do throws(LayerError) {
                let body = try entry.encoded()
                let error = self.outbox.take(self.submission(body, number, group.text, deadline))
                if error == nil { state.awaited[number] = (answer, deadline) }
                return error
            } catch {
                return error
            }
        }
        if let error { answer.fail(error) }
    }

    /// Without an answer.
    private func write(_ kind: LogEntry.Kind, _ group: String, _ state: inout State) {
        state.lastNumber += 1
        let entry = LogEntry(
            process: self.process, number: state.lastNumber, time: self.now(), group: group, kind: kind)
        guard let body = try? entry.encoded() else { return }
        _ = self.outbox.take(self.submission(body, state.lastNumber, group, .now + self.configuration.timeout))
    }

    private func submission(
        _ body: ByteBuffer, _ number: UInt64, _ name: String, _ deadline: ContinuousClock.Instant
    ) -> Submission {
        Submission(
            target: .log, key: self.configuration.historyLog, name: name, body: body, deadline: deadline,
            completion: { [weak self] error in
                if let error { self?.failed(number, error) } else { self?.taken(number) }
            })
    }

    private func taken(_ number: UInt64) {
        self.state.withLock { if $0.hello == number { $0.helloTaken = .now } }
    }

    /// The entry was not taken, or nobody knows.
    private func failed(_ number: UInt64, _ error: LayerError) {
        self.state.withLock { $0.awaited.removeValue(forKey: number)?.answer }?.fail(error)
    }

    // MARK: For the reading thread

    /// Where to read from: behind what was read.
    var start: StreamStart { self.state.withLock { $0.log.last.map { .offset($0 &+ 1) } ?? .first } }

    /// The log is being read from `start` on.
    func connected() {
        self.state.withLock { state in
            state.isConnected = true
            state.trouble = nil
            state.log.excuseSilence(now: .now)
            self.write(.hello, "", &state)
            state.hello = state.lastNumber
            state.helloTaken = nil
            state.lastArrival = .now
            // Others may have given us up.
            self.sayPresence(&state)
        }
    }

    func lost(_ error: LayerError) {
        self.state.withLock { state in
            state.isConnected = false
            state.trouble = error
        }
    }

    /// - Parameter place: the offset in the log.
    /// - Returns: `false` when this is another log than before, and everything must be read anew.
    func arrived(_ body: ByteBuffer, at place: UInt64) -> Bool {
        let now = ContinuousClock.now
        let outcome = self.state.withLock {
            state -> (message: (LayerMessage, GroupName)?, then: [@Sendable () -> Void])? in
            state.lastArrival = now
            if let last = state.log.last, place <= last { return nil }
            guard let entry = LogEntry(body) else {
                state.log.pass(place)
                return (nil, [])
            }
            return self.apply(entry, at: place, now, &state)
        }
        guard let (sent, then) = outcome else {
            self.beginAnew()
            return false
        }
        if let (message, group) = sent { _ = self.local.deliver(message, toGroup: group) }
        for step in then { step() }
        return true
    }

    private func apply(
        _ entry: LogEntry, at place: UInt64, _ now: ContinuousClock.Instant, _ state: inout State
    ) -> (message: (LayerMessage, GroupName)?, then: [@Sendable () -> Void]) {
        let wasLive = state.phase == .live
        let isOwn = entry.process == self.process
        let (effect, message) = state.log.apply(entry, at: place, isLive: wasLive, now: now)
        var then: [@Sendable () -> Void] = []
        if isOwn, state.hello == entry.number {
            state.hello = nil
            if state.phase == .catchingUp {
                state.phase = .live
                self.isReading.store(true, ordering: .relaxed)
                state.isBeginning = true
                then.append { self.beginWaiting() }
            }
        } else if effect == .sayPresence, !isOwn, wasLive {
            self.sayPresence(&state)
        }
        if isOwn, let (answer, _) = state.awaited.removeValue(forKey: entry.number) {
            then.append(self.step(answer, effect, state))
        }
        let group = GroupName(unchecked: entry.group)
        guard wasLive, let message else { return (nil, then) }
        if isOwn { then.append { self.copy(message, group) } }
        // One without a position is heard as what it is: a message to the group.
        guard message.position != nil, !self.wasCopied(message, group, state) else { return (nil, then) }
        return ((message, group), then)
    }

    /// Begins what waited for the log, in order.
    private func beginWaiting() {
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

    // MARK: Copies

    /// A publication came through the exchange of the groups, as those hear it who do not read the log.
    ///
    /// - Returns: whether it is to be heard here.
    func takesCopy(_ position: StreamPosition, of group: GroupName) -> Bool {
        guard !self.isLive else { return false }
        return self.state.withLock { state in
            guard state.phase != .live else { return false }
            if state.phase == .catchingUp { state.copied[group] = position }
            return true
        }
    }

    private func wasCopied(_ message: LayerMessage, _ group: GroupName, _ state: State) -> Bool {
        guard !state.copied.isEmpty, let copied = state.copied[group], let position = message.position else {
            return false
        }
        return position.epoch == copied.epoch && position.offset <= copied.offset
    }

    /// What the answer is.
    private func step(_ answer: Answer, _ effect: LogState.Effect, _ state: State) -> @Sendable () -> Void {
        switch (answer, effect) {
        case (.publish(let completion), .published(let result)): return { completion(.success(result)) }
        case (.read(let group, let query, let completion), _):
            let page = state.log.histories.look(at: group, query, at: .milliseconds(state.log.time))?.page
            return {
                completion(
                    page.map { .success($0) } ?? .failure(LayerError(.unavailable, "the position is gone again")))
            }
        case (.told(let completion), _): return { completion(nil) }
        case (.publish, _): return { answer.fail(LayerError(.unavailable, "the log has something else in its place")) }
        }
    }

    /// For Python's consumers, and processes that do not read the log.
    private func copy(_ message: LayerMessage, _ group: GroupName) {
        guard let body = try? message.encoded(adding: Arrival.groupKey, group.text) else { return }
        self.outbox.offer(
            Submission(
                target: .group, key: group.text, name: group.text, body: body,
                deadline: .now + self.configuration.timeout, completion: { _ in }))
    }

    /// Whether the log has something that is not given to us: it is a new one, and shorter than where we read.
    func isStuck(_ now: ContinuousClock.Instant) -> Bool {
        self.state.withLock { state in
            guard state.isConnected, state.hello != nil, let taken = state.helloTaken else { return false }
            return max(taken, state.lastArrival) + Self.patience <= now
        }
    }

    /// Somebody deleted the log.
    func beginAnew() {
        self.isReading.store(false, ordering: .relaxed)
        let failed = self.state.withLock { state in
            state.log.begin()
            if state.phase == .live { state.phase = .catchingUp }
            state.hello = nil
            state.isConnected = false
            defer { state.awaited = [:] }
            return state.awaited.values.map(\.answer)
        }
        for answer in failed {
            answer.fail(LayerError(.unavailable, "somebody deleted RabbitMQ's log of publications"))
        }
    }

    // MARK: Presence

    private func sayPresence(_ state: inout State) {
        for (group, clients) in state.own {
            let all = Array(clients.values)
            for start in stride(from: 0, to: all.count, by: Self.batch) {
                let part = Array(all[start..<min(start + Self.batch, all.count)])
                self.write(.present(part), group.text, &state)
            }
        }
    }

    /// Several times a second, or once.
    func tick(_ now: ContinuousClock.Instant) {
        let life = self.configuration.limits.presenceExpiry
        let late = self.state.withLock { state -> [(Answer, LayerError)] in
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
