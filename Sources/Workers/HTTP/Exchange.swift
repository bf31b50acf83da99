import HTTP1
import NIOCore
import Synchronization

/// One request on its way through the pool, and the way back to its connection.
///
/// The connection decides on its event loop which answer counts: what comes from a request it has given up (over its
/// time, visitor gone) finds another exchange there, and is dropped.
final class Exchange: PoolJob {
    let request: WorkerRequest
    let terms: AnswerTerms
    private let application: any SynchronousApplication
    private let boundConnection: NIOLoopBound<WorkerConnection>
    private let answers: AnswerBox
    private let writeTimeout: TimeAmount
    private let isCancelled = Atomic(false)

    init(
        _ request: WorkerRequest, terms: AnswerTerms, application: any SynchronousApplication,
        connection: WorkerConnection, shard: WorkerShard, writeTimeout: TimeAmount
    ) {
        self.request = request
        self.terms = terms
        self.application = application
        self.boundConnection = NIOLoopBound(connection, eventLoop: shard.eventLoop)
        self.answers = shard.answers
        self.writeTimeout = writeTimeout
    }

    /// Without the query, which may hold secrets.
    var description: String { "\(self.request.method) \(self.request.path)" }

    /// On its loop only.
    var connection: WorkerConnection { self.boundConnection.value }

    /// On its loop: what became of the attempt to hand it to a thread.
    func admitted(_ admission: WorkerPool.State.Admission) { self.connection.admitted(admission, self) }

    /// The visitor has gone: when no thread has begun, none will.
    func cancel() { self.isCancelled.store(true, ordering: .relaxed) }

    // MARK: the pool's side

    func run(_ pulse: PoolPulse) {
        if self.isCancelled.load(ordering: .relaxed) { return }
        do {
            let response = try self.application.respond(to: self.request)
            guard case .stream(_, let produce) = response.body, !self.terms.isHead else {
                return self.answers.put(.answer(response, self), isHeld: pulse.mayHold)
            }
            self.answers.put(.answer(response, self))
            try produce(StreamWriter(self, pulse))
            self.tell { $0.endStream(of: self) }
        } catch {
            self.tell { $0.failed(error, in: self) }
        }
    }

    func deliver() { self.answers.ring() }
    func expire() { self.tell { $0.expired(self) } }
    func overrun() { self.tell { $0.overran(self) } }

    // MARK: the way to the connection

    private func tell(_ body: @escaping @Sendable (WorkerConnection) -> Void) {
        self.answers.put(.other(body, self))
    }

    /// Sends one piece of a stream and waits until the system has taken it.
    func send(_ piece: ByteBuffer, _ outcome: Monitor<StreamWriter.Outcome?>) throws {
        outcome.withLock { $0 = nil }
        self.tell { connection in
            connection.write(piece, of: self) { result in outcome.signal { $0 = result } }
        }
        switch outcome.wait(until: .now() + self.writeTimeout, for: { $0 }) {
        case .written:
            return
        case .refused(let error):
            throw error
        case nil:
            let error = WorkerError(
                .stalled,
                "The visitor has read nothing for \(self.writeTimeout.nanoseconds / 1_000_000_000) s; the connection was cut."
            )
            self.tell { $0.failed(error, in: self) }
            throw error
        }
    }
}

/// Exchanges are the same when they are one object.
func ~= (pattern: Exchange, value: Exchange) -> Bool { pattern === value }

/// Where an application's streamed body goes. Lives on one pool thread.
final class StreamWriter: BodyWriter {
    enum Outcome: Sendable {
        case written
        case refused(WorkerError)
    }

    /// Larger writes are cut, so that the time limit sees whether anything moves, and little is held in memory.
    private static let pieceBytes = 65_536

    private let exchange: Exchange
    private let pulse: PoolPulse
    private let outcome = Monitor<Outcome?>(nil)

    init(_ exchange: Exchange, _ pulse: PoolPulse) {
        self.exchange = exchange
        self.pulse = pulse
    }

    func write(_ bytes: ByteBuffer) throws {
        var rest = bytes
        while let piece = rest.readSlice(length: min(rest.readableBytes, Self.pieceBytes)), piece.readableBytes > 0 {
            let sent = self.pulse.whileParked { Result { try self.exchange.send(piece, self.outcome) } }
            try sent.get()
        }
    }
}
