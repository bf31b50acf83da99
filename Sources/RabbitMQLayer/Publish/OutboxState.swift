import ChannelLayer
import NIOCore

/// What waits to be sent, and what was sent and has no confirm yet. It never calls out; whom to tell is returned.
struct OutboxState {
    private struct Bounds {
        /// Messages and bytes that may wait.
        var messages: Int
        var bytes: Int
    }

    /// Messages without a confirm at most: more makes a broker slower, not faster (measured).
    static let windowMessages = 512
    /// Bytes without a confirm at most, beyond which nothing more is sent.
    static let windowBytes = 4 << 20

    private var queue = CircularBuffer<Submission>()
    private var queueBytes = 0
    private var window = ConfirmWindow<Submission>()
    private var windowBytes = 0
    private let bounds: Bounds
    private let timeout: Duration
    /// Queues of normal channels that are there, on this connection's word.
    private var knownQueues: Set<String> = []
    private var isReady = false
    private var isAsleep = false
    /// Why nothing can be sent now; for the errors.
    private var trouble: LayerError?
    private(set) var isClosing = false

    init(messages: Int, bytes: Int, timeout: Duration) {
        self.bounds = Bounds(messages: messages, bytes: bytes)
        self.timeout = timeout
    }

    /// Nothing waits, and everything was answered.
    var isEmpty: Bool { self.queue.isEmpty && self.window.count == 0 }

    // MARK: From outside

    enum Offer { case taken(mustWake: Bool), refused(LayerError) }

    mutating func offer(_ submission: Submission) -> Offer {
        guard !self.isClosing else { return .refused(Self.closed) }
        let size = submission.body.readableBytes
        guard self.queue.count < self.bounds.messages, self.queueBytes + size <= self.bounds.bytes else {
            return .refused(
                LayerError(
                    .unavailable,
                    "\(self.queue.count) messages with \(self.queueBytes) bytes wait to be sent already"
                        + (self.trouble.map { ": \($0.message)" } ?? "; senders are faster than RabbitMQ")))
        }
        self.queue.append(submission)
        self.queueBytes += size
        defer { self.isAsleep = false }
        return .taken(mustWake: self.isAsleep)
    }

    /// Those who have waited too long. What is on its way keeps its place: its confirm may still come.
    mutating func expire(_ now: ContinuousClock.Instant) -> [Outcome] {
        let error = LayerError(
            .unavailable,
            "not taken by RabbitMQ within \(self.timeout)" + (self.trouble.map { ": \($0.message)" } ?? ""))
        var outcomes: [Outcome] = []
        self.window.updateOldest(while: { $0.deadline <= now }) { submission in
            guard submission.completion != nil else { return }
            outcomes.append(Outcome(submission: submission, result: .failed(error)))
            submission.completion = nil
            submission.isGivenUp = true
        }
        while let first = self.queue.first, first.deadline <= now {
            self.queue.removeFirst()
            self.queueBytes -= first.body.readableBytes
            outcomes.append(Outcome(submission: first, result: .failed(error)))
        }
        return outcomes
    }

    /// Takes nothing new. What waits is still sent, when there is a connection.
    mutating func close() { self.isClosing = true }

    // MARK: From the connection

    mutating func connected() {
        self.isReady = true
        self.trouble = nil
    }

    /// The broker takes nothing for now, or again.
    mutating func blocked(_ error: LayerError?) {
        self.trouble = error
        self.isReady = error == nil
    }

    /// The connection is gone. What was on its way is never sent again: it may have arrived.
    mutating func lost(_ error: LayerError) -> [Outcome] {
        self.isReady = false
        self.isAsleep = false
        self.trouble = error
        self.knownQueues = []
        self.windowBytes = 0
        return self.window.takeAll().map { Outcome(submission: $0, result: .failed(error)) }
    }

    /// Nobody will send any more.
    mutating func ended() -> [Outcome] {
        self.isClosing = true
        let waiting = self.queue.map { Outcome(submission: $0, result: .failed(Self.closed)) }
        self.queue.removeAll()
        self.queueBytes = 0
        return self.lost(Self.closed) + waiting
    }

    enum Next {
        /// To be sent in this order; they count as sent.
        case send([Submission])
        /// This queue must be there before anything more is sent.
        case declare(queue: String)
        /// Nothing to send, or no room: confirms come first.
        case wait
    }

    /// What to send now, `limit` messages at most.
    mutating func next(limit: Int) -> Next {
        guard self.isReady else { return .wait }
        var batch: [Submission] = []
        while batch.count < limit, self.window.count < Self.windowMessages, self.windowBytes < Self.windowBytes,
            let first = self.queue.first
        {
            if case .normalChannel = first.target, !self.knownQueues.contains(first.key) {
                if batch.isEmpty { return .declare(queue: first.key) }
                break
            }
            self.queue.removeFirst()
            self.queueBytes -= first.body.readableBytes
            self.windowBytes += first.body.readableBytes
            self.window.append(first)
            batch.append(first)
        }
        guard batch.isEmpty else { return .send(batch) }
        // Whoever is full or blocked is woken by the broker; only who has nothing to do is woken from outside.
        self.isAsleep = self.queue.isEmpty
        return .wait
    }

    mutating func settle(_ number: UInt64, multiple: Bool, isTaken: Bool) -> [Outcome] {
        self.window.settle(number, multiple: multiple).map { submission in
            self.windowBytes -= submission.body.readableBytes
            return Outcome(submission: submission, result: isTaken ? .taken : .full)
        }
    }

    /// A normal channel's queue is there.
    mutating func declared(queue: String) {
        // Names come from outside; forgetting costs a question each.
        if self.knownQueues.count >= 10_000 { self.knownQueues.removeAll() }
        self.knownQueues.insert(queue)
    }

    /// A normal channel's queue is not there any more.
    mutating func vanished(queue: String) { self.knownQueues.remove(queue) }

    /// A normal channel's queue cannot be made: what waits first for it fails.
    mutating func refused(queue: String, _ error: LayerError) -> [Outcome] {
        guard let first = self.queue.first, first.key == queue, case .normalChannel = first.target else { return [] }
        self.queue.removeFirst()
        self.queueBytes -= first.body.readableBytes
        return [Outcome(submission: first, result: .failed(error))]
    }

    static let closed = LayerError(.closed, "the layer was closed")
}
