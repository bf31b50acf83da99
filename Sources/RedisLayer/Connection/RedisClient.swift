import ChannelLayer
import Logging
import NIOCore

/// What happens to a client's connection.
enum RedisClientEvent: Sendable {
    /// There is a connection, ready for commands. `generation` is 1 for the first and one more for each later one. Whatever
    /// a server only keeps for a connection, or may have lost, must be set up anew.
    case connected(generation: Int)
    /// The connection was lost; the client reconnects by itself.
    case lost(RedisError)
    /// An attempt to connect failed, the `failures`-th in a row; the client goes on trying. With the codes `refused` and
    /// `misconfigured` the error names the setting that must change.
    case failed(RedisError, failures: Int)
}

/// Bounds and times of a client.
struct RedisClientOptions: Sendable {
    /// How long an answer may take, from the moment it is the next one due.
    var timeLimit: TimeAmount = .seconds(5)
    /// How long connecting may take, with names, encryption and authentication.
    var connectLimit: TimeAmount = .seconds(5)
    /// For so long after a loss commands wait for the next connection; after that they fail at once, until there is one.
    var patience: TimeAmount = .seconds(1)
    /// A server that is back is found half a second later at the latest.
    var backoff = Backoff(most: .milliseconds(500))
    /// Commands that wait to be sent or answered.
    var maximumCommands = 262_144
    /// Bytes of commands that wait to be sent or answered.
    var maximumBytes = 128 << 20

    init() {}
}

/// Keeps one connection to one Redis alive, and sends commands over it, from any thread.
///
/// Commands go out in the order of the calls, joined: all that is offered during one turn of the event loop is one write.
/// Answers come in the same order. A command whose connection is lost before its answer came fails, and is never sent
/// again: it may have been carried out. Commands that were not sent yet wait for the next connection for a short time
/// (`patience`), so that a connection that is only cut costs nothing.
final class RedisClient: Sendable {
    typealias Completion = @Sendable (Result<RedisReply, RedisError>) -> Void

    let endpoint: RedisEndpoint
    let eventLoop: any EventLoop
    private let timeLimit: TimeAmount
    private let outbox: RedisOutbox
    private let core: NIOLoopBoundBox<RedisClientCore>
    private let logger: Logger

    /// - Parameters:
    ///   - connects: whether it starts connecting at once; else it waits for `connect`, for owners who must know the client
    ///     before its first event.
    ///   - onEvent: called on `eventLoop`.
    init(
        _ endpoint: RedisEndpoint, options: RedisClientOptions = .init(), eventLoop: any EventLoop, logger: Logger,
        connects: Bool = true, onEvent: @escaping @Sendable (RedisClientEvent) -> Void = { _ in }
    ) {
        self.endpoint = endpoint
        self.eventLoop = eventLoop
        self.timeLimit = options.timeLimit
        self.logger = logger
        let outbox = RedisOutbox(options)
        self.outbox = outbox
        self.core = NIOLoopBoundBox.makeBoxSendingValue(
            RedisClientCore(endpoint, outbox, options, eventLoop: eventLoop, onEvent: onEvent), eventLoop: eventLoop)
        if connects { self.connect() }
    }

    /// Starts connecting. Only the first call counts.
    func connect() {
        let (core, logger) = (self.core, self.logger)
        self.eventLoop.execute { core.value.start(logger: logger) }
    }

    /// Sends a command. Takes it at once, from any thread, in the order of the calls.
    ///
    /// - Parameters:
    ///   - timeLimit: how long the answer may take; `nil` is the client's own. A blocking command needs its time on top.
    ///   - completion: called once, on the client's event loop, or at once when the command is refused. An error that
    ///     the server answered is a failure.
    func send(_ command: RedisCommand, timeLimit: TimeAmount? = nil, completion: @escaping Completion) {
        if let error = self.offer(command, timeLimit: timeLimit, completion: completion) { completion(.failure(error)) }
    }

    /// As `send`, for whoever holds a lock: `completion` is never called before this returns.
    ///
    /// - Returns: why it was not taken; `completion` is not called then.
    func offer(_ command: RedisCommand, timeLimit: TimeAmount? = nil, completion: @escaping Completion) -> RedisError? {
        self.offer(command, timeLimit: timeLimit ?? self.timeLimit, .reply(completion))
    }

    /// As `send`, for who only wants to know whether it went well.
    func send(_ command: RedisCommand, outcome: @escaping @Sendable (LayerError?) -> Void) {
        if let error = self.offer(command, timeLimit: self.timeLimit, .outcome(outcome)) { outcome(error.layerError) }
    }

    private func offer(_ command: RedisCommand, timeLimit: TimeAmount, _ answer: RedisAnswer) -> RedisError? {
        switch self.outbox.offer(command, timeLimit: timeLimit, answer) {
        case .first:
            let core = self.core
            self.eventLoop.execute { core.value.drain() }
        case .more: break
        case .refused(let error): return error
        }
        return nil
    }

    /// Sends a command and waits for its answer. Cancelling does not take it back.
    func send(_ command: RedisCommand, timeLimit: TimeAmount? = nil) async throws(RedisError) -> RedisReply {
        try await withCheckedContinuation { continuation in
            self.send(command, timeLimit: timeLimit) { continuation.resume(returning: $0) }
        }.get()
    }

    /// Fails what waits with `closed`, and closes the connection. Idempotent. Whoever wants an answer first waits for it.
    func close() async {
        self.outbox.refuse(RedisError(.closed, "the client was closed"))
        let core = self.core
        await withCheckedContinuation { continuation in
            self.eventLoop.execute {
                core.value.close()
                continuation.resume()
            }
        }
    }
}
