package import Logging
package import NIOCore
import Synchronization
import Telemetry

/// Tells what the processes of one host do: events of its supervisord in, notices out.
///
/// Two sides that never wait for each other: `take` is called by the thread that talks with supervisord and only notes
/// things down; `run` sends, asks supervisord for what an event does not say, and waits when the layer is away.
package final class Agent: Sendable {
    /// The type, or subject, of a remote communication that asks for a snapshot.
    package static let snapshotRequest = "carillon.snapshot"

    private struct State {
        var backlog = NoticeBacklog()
        var ledger = SerialLedger()
        var wantsSnapshot = true
    }

    private let host: String
    private let supervisor: SupervisorClient?
    private let publish: @Sendable (ByteBuffer) async throws -> Void
    private let now: @Sendable () -> Double
    private let logger: Logger
    private let log: BoundedLog
    private let state = Mutex(State())
    /// Says that there is something to do; more than once is as good as once.
    private let bell: AsyncStream<Void>
    private let ring: AsyncStream<Void>.Continuation

    /// - Parameters:
    ///   - host: the name of this machine in what it tells.
    ///   - supervisor: `nil` when it has no server to ask; then there are no snapshots, and no exit statuses.
    ///   - publish: puts one JSON text into the group; throws when that was not possible, and is asked again later.
    ///   - now: seconds since 1970.
    package init(
        host: String, supervisor: SupervisorClient?, publish: @escaping @Sendable (ByteBuffer) async throws -> Void,
        now: @escaping @Sendable () -> Double, logger: Logger
    ) {
        self.host = host
        self.supervisor = supervisor
        self.publish = publish
        self.now = now
        self.logger = logger
        self.log = BoundedLog(logger)
        (self.bell, self.ring) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.ring.yield()
    }

    // MARK: From supervisord

    /// Notes down an event. Does not block.
    package func take(_ event: SupervisorEvent) {
        let time = self.now()
        let verdict = self.state.withLock { state in
            let verdict = state.ledger.judge(event.header)
            guard verdict != .repeated else { return verdict }
            if case .newAfterLoss = verdict { state.wantsSnapshot = true }
            Self.note(event, time: time, in: &state)
            return verdict
        }
        if case .newAfterLoss(let count) = verdict {
            self.log.log(
                .warning, "supervisord dropped events: its buffer_size for this listener is too small",
                metadata: [LogKey.count: "\(count)"])
        }
        self.ring.yield()
    }

    private static func note(_ event: SupervisorEvent, time: Double, in state: inout State) {
        switch event.kind {
        case .process(let change): state.backlog.add(Notice(.process(change), header: event.header, time: time))
        case .group(let name, let isAdded):
            state.backlog.add(Notice(.group(name, isAdded: isAdded), header: event.header, time: time))
        case .supervisor(let name):
            state.backlog.add(Notice(.supervisor(name), header: event.header, time: time))
        case .remoteCommunication(let type, _): if type == Self.snapshotRequest { state.wantsSnapshot = true }
        case .tick: state.wantsSnapshot = true
        case .other: break
        }
    }

    /// Makes `run` send a snapshot: somebody asked, or messages may have been missed.
    package func askForSnapshot() {
        self.state.withLock { $0.wantsSnapshot = true }
        self.ring.yield()
    }

    // MARK: To the layer

    /// Sends until it is cancelled.
    package func run() async {
        var pause = Pause()
        for await _ in self.bell {
            while !Task.isCancelled, await !self.sendAll() {
                await pause.wait()
            }
            pause.reset()
        }
    }

    /// - Returns: whether everything was sent.
    private func sendAll() async -> Bool {
        while let notice = self.state.withLock({ $0.backlog.take() }) {
            do {
                try await self.publish(try await self.complete(notice).json(host: self.host))
                self.state.withLock { $0.backlog.sent() }
            } catch {
                self.state.withLock { $0.backlog.failed(notice) }
                self.log.log(
                    .warning, "Process states cannot be published; the newest of each process is kept",
                    metadata: [LogKey.error: "\(error)"])
                return false
            }
        }
        guard let supervisor = self.supervisor, self.state.withLock({ $0.wantsSnapshot }) else { return true }
        return await self.sendSnapshot(of: supervisor)
    }

    /// Adds the exit status, which no event has. The process may already run again; then nobody knows it any more.
    private func complete(_ notice: Notice) async throws -> Notice {
        guard case .process(let change) = notice.change, change.to == "EXITED", let supervisor = self.supervisor,
            let info = try? await supervisor.process(change.group, change.name), info.state == "EXITED"
        else { return notice }
        var notice = notice
        notice.exitStatus = info.exitStatus
        return notice
    }

    private func sendSnapshot(of supervisor: SupervisorClient) async -> Bool {
        // Whoever asks from here on gets another.
        self.state.withLock { $0.wantsSnapshot = false }
        do {
            let snapshot = Snapshot(
                supervisor: try await supervisor.identification(), state: try await supervisor.state(),
                processes: try await supervisor.allProcesses(), time: self.now())
            try await self.publish(snapshot.json(host: self.host))
            return true
        } catch {
            self.state.withLock { $0.wantsSnapshot = true }
            self.log.log(
                .warning, "A snapshot of the processes cannot be made or published; it is tried again",
                metadata: [LogKey.error: "\(error)"])
            return false
        }
    }
}

/// Waits longer after each failure in a row, and not as long as all the others.
private struct Pause {
    private static let longest = Duration.seconds(5)
    private var next = Duration.milliseconds(200)

    mutating func wait() async {
        let time = self.next * Double.random(in: 0.5...1)
        self.next = min(self.next * 2, Self.longest)
        try? await Task.sleep(for: time)
    }

    mutating func reset() { self = Pause() }
}
