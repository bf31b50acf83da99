import ChannelLayer
import Crypto
import Glibc
import HTTP1
import NIOCore
import Synchronization
import Telemetry

/// Writes down what happens at this gateway, takes part in choosing the clerk, and, when this gateway is it, does what
/// `LifecycleClerk` says.
///
/// `note` may be called from any thread. `@unchecked Sendable`: everything else is touched on `home` only.
final class LifecycleService: @unchecked Sendable {
    static let group = "carillon.lifecycle"
    static let checkpointGroup = "carillon.lifecycle.checkpoint"
    private static let command = "lifecycle"
    /// Between two looks at what is to be done.
    private static let turn = TimeAmount.milliseconds(100)
    private static let turnsPerBeat = 10
    /// Turns between attempts to write, while the layer does not take anything.
    private static let turnsBetweenAttempts = 10
    /// Turns in which a gateway that stops may get rid of what it has.
    private static let farewellTurns = 30
    /// Entries that are kept, and for how long. They are read within a second; those who come back later find the
    /// checkpoint.
    private static let keeping = HistoryOptions(size: 10_000, timeToLive: .seconds(86_400))
    private static let keepingCheckpoint = HistoryOptions(size: 1, timeToLive: HistoryOptions.usualMetaTimeToLive)

    private let configuration: LifecycleConfiguration
    private let store: any GroupStore
    private let control: ControlPost
    private let ask: AskWorker
    private let home: any EventLoop
    private let metrics: LifecycleMetrics
    private let log: BoundedLog
    private let key: SymmetricKey
    private let stream: GroupName
    private let checkpoints: GroupName
    private let notes: Mutex<LifecycleNotes>

    private var role: LifecycleRole
    private var clerk: LifecycleClerk
    /// What the clerk wants to have written, before anything of `notes`.
    private var entries: [LifecycleEntry] = []
    private var isWriting = false
    private var turns = 0
    private var nextAttempt = 0
    private var ticking: RepeatedTask?
    private var farewell: (promise: EventLoopPromise<Void>, lastTurn: Int)?
    private var dropped = 0
    private var forgotten = 0

    /// - Parameter ask: how the application is asked, with a limit of time.
    init(
        _ configuration: LifecycleConfiguration, store: any GroupStore, control: ControlPost, ask: @escaping AskWorker,
        home: any EventLoop, metrics: LifecycleMetrics, log: BoundedLog
    ) throws(LayerError) {
        self.configuration = configuration
        self.store = store
        self.control = control
        self.ask = ask
        self.home = home
        self.metrics = metrics
        self.log = log
        self.key = SymmetricKey(data: Array(configuration.secret.utf8))
        self.stream = try GroupName(Self.group)
        self.checkpoints = try GroupName(Self.checkpointGroup)
        self.notes = Mutex(LifecycleNotes(node: control.node, limit: configuration.gatewayBacklog))
        self.role = LifecycleRole(node: control.node, patience: configuration.patience)
        self.clerk = LifecycleClerk(
            node: control.node, rules: configuration.rules, batchLimit: configuration.batch)
        control.handle(Self.command) { [weak self] message in
            guard let self, let beat = LifecycleRole.Beat(message) else { return }
            self.home.execute { self.heard(beat) }
        }
    }

    // MARK: What happens here

    func note(_ fact: LifecycleFact) { self.notes.withLock { $0.note(fact) } }

    /// A group has its first follower in this process, or has lost the last one.
    @Sendable func note(_ group: GroupName, isFollowed: Bool) {
        guard self.configuration.wantsChannels else { return }
        let isOwn = group.text.hasPrefix("carillon.") && !group.text.hasPrefix(ClientChannel.groupPrefix)
        guard !isOwn, !ClientChannel.isAudience(group) else { return }
        let channel = ClientChannel(of: group).text
        self.note(isFollowed ? .followed(channel) : .left(channel))
    }

    // MARK: Life

    func start() {
        self.home.execute {
            self.ticking = self.home.scheduleRepeatedTask(initialDelay: .zero, delay: Self.turn) { [weak self] _ in
                self?.takeTurn()
            }
        }
    }

    /// Writes what is not written, and says goodbye; as a clerk it also tells the application what it can, for a while.
    func stop() async {
        let promise = self.home.makePromise(of: Void.self)
        self.home.execute {
            guard self.ticking != nil, self.farewell == nil else { return promise.succeed() }
            self.farewell = (promise, self.turns + Self.farewellTurns)
            self.notes.withLock { $0.end() }
        }
        try? await promise.futureResult.get()
    }

    private func endIfDone() {
        guard let farewell else { return }
        let isWritten = !self.isWriting && self.entries.isEmpty && self.notes.withLock { $0.isDone }
        let isDone = isWritten && self.clerk.isDone
        guard isDone || self.turns >= farewell.lastTurn else { return }
        self.beat(isLast: true)
        self.ticking?.cancel()
        self.ticking = nil
        farewell.promise.succeed()
    }

    private func takeTurn() {
        if self.turns % Self.turnsPerBeat == 0 { self.beat() }
        self.turns += 1
        self.work()
        self.endIfDone()
    }

    private func work() {
        self.write()
        let role = self.role
        self.perform(
            self.clerk.work(isClerk: role.isClerk, now: Self.now, isSilent: { role.isSilent($0) }))
        self.count()
    }

    private func count() {
        let waiting = self.clerk.book?.outbox
        self.metrics.waiting.set(waiting?.count ?? 0)
        let dropped = waiting?.dropped ?? 0
        if dropped > self.dropped {
            self.metrics.dropped.increment(by: dropped - self.dropped)
            self.log.log(.warning, "Events for the application were dropped, because too many waited")
        }
        self.dropped = dropped
        let forgotten = self.notes.withLock { $0.forgotten }
        self.metrics.forgotten.increment(by: forgotten - self.forgotten)
        self.forgotten = forgotten
    }

    // MARK: Beats

    private func beat(isLast: Bool = false) {
        var beat = LifecycleRole.Beat(node: self.control.node, isClerk: self.role.isClerk, isLast: isLast)
        beat.known = self.clerk.book?.known ?? []
        self.control.send(Self.command, beat.entries, to: nil)
    }

    private func heard(_ beat: LifecycleRole.Beat) {
        let wasClerk = self.role.isClerk
        if self.role.heard(beat) { self.notes.withLock { $0.stateAgain() } }
        if self.role.isClerk != wasClerk {
            self.log.log(
                .info,
                self.role.isClerk
                    ? "This gateway tells the application now" : "Another gateway tells the application now")
            self.work()
        }
    }

    // MARK: Writing

    /// One entry at a time, so that they stand in the order of what happened.
    private func write() {
        guard !self.isWriting, self.turns >= self.nextAttempt else { return }
        let entry: LifecycleEntry
        if !self.entries.isEmpty {
            entry = self.entries.removeFirst()
        } else if let note = self.notes.withLock({ $0.next(at: Self.now) }) {
            entry = note
        } else {
            return
        }
        self.isWriting = true
        self.store.publish(entry.message, toGroup: self.stream, keeping: Self.keeping) { result in
            self.home.execute { self.wrote(entry, result) }
        }
    }

    private func wrote(_ entry: LifecycleEntry, _ result: Result<PublishResult, LayerError>) {
        self.isWriting = false
        switch result {
        case .success: break
        case .failure(let error):
            self.nextAttempt = self.turns + Self.turnsBetweenAttempts
            self.log.log(.warning, "Lifecycle events could not be written", metadata: [LogKey.error: "\(error)"])
            // What the clerk had to say it says again when it still holds.
            if entry.serial > 0 { self.notes.withLock { $0.failed(entry) } }
        }
        if self.entries.isEmpty { self.clerk.appended(now: Self.now) }
        self.work()
    }

    // MARK: The clerk

    private func perform(_ actions: [LifecycleClerk.Action]) {
        for action in actions {
            switch action {
            case .append(let entry): self.entries.append(entry)
            case .readCheckpoint:
                self.store.readHistory(of: self.checkpoints, HistoryQuery(limit: 1, isReverse: true)) { result in
                    self.home.execute {
                        self.clerk.readCheckpoint(result.map { $0.publications.first?.message }, now: Self.now)
                        self.work()
                    }
                }
            case .readStream(let position):
                let query = HistoryQuery(limit: LifecycleClerk.pageLimit, since: position)
                self.store.readHistory(of: self.stream, query) { result in
                    self.home.execute {
                        self.clerk.readStream(result, now: Self.now)
                        self.work()
                    }
                }
            case .keep(let checkpoint):
                self.store.publish(checkpoint, toGroup: self.checkpoints, keeping: Self.keepingCheckpoint) { result in
                    self.home.execute {
                        if case .failure(let error) = result {
                            self.log.log(
                                .warning, "A checkpoint could not be kept", metadata: [LogKey.error: "\(error)"])
                        }
                        self.clerk.kept()
                    }
                }
            case .post(let batch): self.post(batch)
            }
        }
        if !actions.isEmpty { self.write() }
    }

    private func post(_ batch: LifecycleBatch) {
        let body = batch.body
        let target =
            switch self.configuration.endpoint {
            case .workers(let path): path
            case .server(_, let target): target
            }
        let fields = HeaderFields([
            ("Content-Type", "application/json"), ("Accept", "application/json"),
            (LifecycleSignature.field, LifecycleSignature.value(of: body, key: self.key, time: WallClock.seconds())),
        ])
        let head = RequestHead(method: "POST", target: target, version: .http11, fields: fields)
        // Telling twice is harmless: the numbers are the same.
        let request = AskRequest(head: head, body: body, isHarmless: true)
        self.ask(request, self.home).hop(to: self.home).whenComplete { result in
            var fault: String?
            switch result {
            case .success(let answer) where (200..<300).contains(answer.status): break
            case .success(let answer): fault = "status \(answer.status)"
            case .failure(let error): fault = "\(error)"
            }
            if let fault {
                self.metrics.failures.increment()
                self.log.log(
                    .warning, "The application did not take lifecycle events; they are sent again",
                    metadata: [LogKey.error: "\(fault)", LogKey.target: "\(target)"])
            } else {
                self.metrics.events.increment(by: batch.events.count)
            }
            self.perform(
                self.clerk.posted(
                    batch, isTaken: fault == nil, now: Self.now, random: .random(in: 0...1)))
            self.work()
        }
    }

    /// Milliseconds since 1970.
    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}

extension LifecycleRole.Beat {
    fileprivate var entries: [LayerValue.Entry] {
        [
            .init(key: .string("node"), value: .string(self.node)),
            .init(key: .string("clerk"), value: .bool(self.isClerk)),
            .init(key: .string("last"), value: .bool(self.isLast)),
            .init(key: .string("known"), value: .array(self.known.map { .string($0) })),
        ]
    }

    fileprivate init?(_ message: LayerMessage) {
        guard case .string(let node)? = message["node"], case .bool(let isClerk)? = message["clerk"],
            case .bool(let isLast)? = message["last"], case .array(let known)? = message["known"]
        else { return nil }
        self.init(
            node: node, isClerk: isClerk, isLast: isLast,
            known: known.compactMap { if case .string(let name) = $0 { name } else { nil } })
    }
}
