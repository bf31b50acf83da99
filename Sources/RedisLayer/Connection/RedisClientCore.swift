import Logging
import NIOCore

/// The part of a `RedisClient` that lives on its event loop: takes what the outbox holds and sends it, when there is a
/// connection.
final class RedisClientCore: RedisLinkOwner {
    private let endpoint: RedisEndpoint
    private let outbox: RedisOutbox
    private let options: RedisClientOptions
    private let eventLoop: any EventLoop
    private var onEvent: @Sendable (RedisClientEvent) -> Void
    private var link: RedisLink?
    private var connection: RedisConnection?
    private var isClosed = false
    /// What was taken from the outbox; kept for its memory.
    private var batch = RedisBatch()
    /// The scripts this connection's server was told.
    private var scripts: Set<String> = []
    /// Commands whose script the server had forgotten. While there are some, nothing else is sent, so that they keep
    /// their place.
    private var unscripted: [RedisRequest] = []
    /// How often the connection was lost, to tell an old alarm from a new one.
    private var losses = 0

    init(
        _ endpoint: RedisEndpoint, _ outbox: RedisOutbox, _ options: RedisClientOptions, eventLoop: any EventLoop,
        onEvent: @escaping @Sendable (RedisClientEvent) -> Void
    ) {
        self.endpoint = endpoint
        self.outbox = outbox
        self.options = options
        self.eventLoop = eventLoop
        self.onEvent = onEvent
    }

    func start(logger: Logger) {
        guard !self.isClosed, self.link == nil else { return }
        let link = RedisLink(
            self.endpoint, options: self.options, eventLoop: self.eventLoop, logger: logger, owner: self)
        self.link = link
        self.beginToWait()
        link.start()
    }

    // MARK: Sending

    /// Sends all that waits, in one write.
    func drain() {
        guard let connection = self.connection, self.unscripted.isEmpty else { return }
        self.outbox.take(into: &self.batch)
        guard !self.batch.isEmpty else { return }
        let now = NIODeadline.now()
        var bytes = self.batch.bytes
        // Of those, not written yet.
        var joined = 0
        for request in self.batch.requests {
            if let command = request.command {
                connection.write(bytes.readSlice(length: joined))
                joined = 0
                self.send(command, request, over: connection, now: now)
            } else {
                joined += request.size
                connection.expect(request, now: now)
            }
        }
        connection.write(bytes)
        self.batch.clear()
        connection.flush()
    }

    /// Sends a command that is not among the joined ones.
    private func send(
        _ command: RedisCommand, _ request: RedisRequest, over connection: RedisConnection, now: NIODeadline
    ) {
        self.tellScript(of: command, connection)
        var request = request
        // Only what runs a script may have to be sent again.
        if command.script == nil { request.command = nil }
        connection.send(command, request, now: now)
    }

    /// Tells the server a script before its first use on this connection.
    private func tellScript(of command: RedisCommand, _ connection: RedisConnection) {
        guard let script = command.script, self.scripts.insert(script.digest).inserted else { return }
        // When that fails, the command after it does as well, and is told.
        let request = RedisRequest(
            answer: .reply { _ in }, timeLimit: self.options.timeLimit, size: 0, command: nil)
        connection.send(script.load, request, now: .now())
    }

    func missesScript(_ connection: RedisConnection, _ request: RedisRequest) {
        guard let script = request.command?.script, connection === self.connection else {
            return request.answer.tell(.failure(RedisError(.noScript, "Redis does not know the script")))
        }
        self.scripts.remove(script.digest)
        self.unscripted.append(request)
    }

    /// When all that was under way is answered, sends the commands again that were not understood.
    private func sendUnscripted(_ connection: RedisConnection) {
        guard !self.unscripted.isEmpty, connection.waiting == 0, connection.isOpen else { return }
        let requests = self.unscripted
        self.unscripted = []
        for var request in requests {
            guard let command = request.command else { continue }
            self.tellScript(of: command, connection)
            // Not a third time: then it is not for a script that was forgotten.
            request.command = nil
            connection.send(command, request, now: .now())
        }
        connection.flush()
        self.drain()
    }

    func finishedReading(_ connection: RedisConnection) {
        let answered = connection.takeAnswered()
        if answered.commands > 0 { self.outbox.done(commands: answered.commands, bytes: answered.bytes) }
        self.sendUnscripted(connection)
    }

    // MARK: The connection

    func connected(_ connection: RedisConnection, generation: Int) {
        self.connection = connection
        self.scripts = []
        self.losses += 1
        self.outbox.refuse(nil)
        self.onEvent(.connected(generation: generation))
        self.drain()
    }

    func closed(_ connection: RedisConnection, _ error: RedisError) {
        if self.connection === connection { self.connection = nil }
        for request in self.unscripted { self.finish(request, error) }
        self.unscripted = []
        self.link?.connectionClosed(connection, error)
    }

    private func finish(_ request: RedisRequest, _ error: RedisError) {
        if request.size > 0 { self.outbox.done(commands: 1, bytes: request.size) }
        request.answer.tell(.failure(error))
    }

    func lost(_ error: RedisError) {
        self.beginToWait(error)
        self.onEvent(.lost(error))
    }

    func failed(_ error: RedisError, failures: Int) {
        self.lastFailure = error
        self.onEvent(.failed(error, failures: failures))
        // What no waiting mends is told at once.
        if self.isImpatient || error.code == .refused || error.code == .misconfigured { self.giveUpWaiting() }
    }

    // MARK: Patience

    private var lastFailure: RedisError?
    private var isImpatient = false

    /// Lets commands wait for the next connection, for a while.
    private func beginToWait(_ error: RedisError? = nil) {
        self.losses += 1
        self.isImpatient = false
        self.lastFailure = error
        let loss = self.losses
        self.eventLoop.assumeIsolated().scheduleTask(in: self.options.patience) {
            guard loss == self.losses, self.connection == nil else { return }
            // The very first attempt may take its time; it is bounded by itself.
            if self.lastFailure == nil { self.isImpatient = true } else { self.giveUpWaiting() }
        }
    }

    /// Fails what waits, and refuses what comes, until there is a connection.
    private func giveUpWaiting() {
        guard !self.isClosed else { return }
        self.isImpatient = true
        let error =
            self.lastFailure.map { $0.code == .connectionLost ? RedisError(.unavailable, $0.message) : $0 }
            ?? RedisError(
                .unavailable, "Redis at \(self.endpoint.shownPlace) (\(self.endpoint.setting)) did not answer yet")
        self.outbox.refuse(error)
        self.failWaiting(error)
    }

    private func failWaiting(_ error: RedisError) {
        self.outbox.take(into: &self.batch)
        let batch = self.batch
        self.batch = RedisBatch()
        for request in batch.requests { self.finish(request, error) }
    }

    // MARK: The end

    func close() {
        guard !self.isClosed else { return }
        self.isClosed = true
        self.failWaiting(RedisError(.closed, "the client was closed"))
        // Fails what waits for answers.
        self.link?.close()
        self.connection = nil
        // It holds who listens, who holds us.
        self.onEvent = { _ in }
    }
}
