import Logging
import NIOCore

/// The part of a `RedisSubscriber` that lives on its event loop.
///
/// A connection that only listens would not notice that its server is gone. So the server is asked when it was silent for a
/// while, and the connection is given up when it does not answer in time.
final class RedisSubscriberCore: RedisLinkOwner {
    private let kind: RedisSubscriberKind
    private let options: RedisClientOptions
    private let eventLoop: any EventLoop
    private var onEvent: @Sendable (RedisSubscriberEvent) -> Void
    private var onMessage: @Sendable (ByteBuffer, RedisTopic) -> Void
    private var link: RedisLink?
    private var connection: RedisConnection?
    private var subscriptions: RedisSubscriptions
    private var isClosed = false
    /// Subscriptions were lost and are not all there again.
    private var isInterrupted = false
    /// Why nothing new is waited for: there is no connection for too long.
    private var refusal: RedisError?
    private var lastFailure: RedisError?
    /// The time to wait is over.
    private var isImpatient = false
    /// Connections and losses, to tell an old alarm from a new one.
    private var turns = 0

    /// How long a server may be silent before it is asked.
    private static let silence = TimeAmount.seconds(2)

    init(
        _ kind: RedisSubscriberKind, _ options: RedisClientOptions, eventLoop: any EventLoop,
        onEvent: @escaping @Sendable (RedisSubscriberEvent) -> Void,
        onMessage: @escaping @Sendable (ByteBuffer, RedisTopic) -> Void
    ) {
        self.kind = kind
        // Names of one command must be in one slot.
        self.subscriptions = RedisSubscriptions(batch: kind == .sharded ? 1 : 500)
        self.options = options
        self.eventLoop = eventLoop
        self.onEvent = onEvent
        self.onMessage = onMessage
    }

    func start(_ endpoint: RedisEndpoint, logger: Logger) {
        guard !self.isClosed, self.link == nil else { return }
        let link = RedisLink(
            endpoint, options: self.options, eventLoop: self.eventLoop, logger: logger, owner: self)
        self.link = link
        self.beginToWait()
        link.start()
    }

    // MARK: Wishes

    func take(_ wishes: [RedisSubscriber.Wish]) {
        for wish in wishes {
            switch wish {
            case .subscribe(_, let ready) where self.isClosed: ready(Self.closed)
            case .subscribe(let topic, let ready):
                self.subscriptions.subscribe(topic, ready)?(nil)
            case .unsubscribe(let topic):
                for ready in self.subscriptions.unsubscribe(topic) { ready(Self.givenUp) }
            }
        }
        if let refusal = self.refusal { self.failWaiters(refusal) }
        self.send()
        self.tellRestored()
    }

    private static let closed = RedisError(.closed, "the client was closed")
    private static let givenUp = RedisError(.unavailable, "it was given up before Redis confirmed it")

    private func send() {
        guard let connection = self.connection else { return }
        let requests = self.subscriptions.takeUnsent()
        guard !requests.isEmpty else { return }
        for request in requests {
            var command = RedisCommand(self.name(of: request.kind), reserving: request.names.count * 48)
            for name in request.names { command.append(name) }
            connection.write(command)
        }
        connection.flush()
    }

    private func name(of kind: RedisSubscriptions.Request.Kind) -> StaticString {
        switch (kind, self.kind) {
        case (.subscribe, .everywhere): "SUBSCRIBE"
        case (.subscribe, .sharded): "SSUBSCRIBE"
        case (.unsubscribe, .everywhere): "UNSUBSCRIBE"
        case (.unsubscribe, .sharded): "SUNSUBSCRIBE"
        case (.ping, _): "PING"
        }
    }

    private func failWaiters(_ error: RedisError) {
        for ready in self.subscriptions.takeWaiters() { ready(error) }
    }

    // MARK: What comes

    func received(channel: ByteBuffer, payload: ByteBuffer) {
        if let topic = self.subscriptions.topic(channel) { self.onMessage(payload, topic) }
    }

    func received(push: RedisReply) {
        switch self.subscriptions.received(push) {
        case .ready(let waiters): for ready in waiters { ready(nil) }
        case .refused(let topic, let waiters):
            guard case .error(let error) = push else { return }
            self.onEvent(.refused(topic, RedisError(error), isNew: !waiters.isEmpty))
            for ready in waiters { ready(RedisError(error)) }
        case .ended(let topic): self.onEvent(.moved(topic))
        case .nothing: break
        case .unexpected:
            self.connection?.close(RedisError(.notRedis, "Redis answered a subscription with what is no answer to it"))
        }
        self.send()
        self.tellRestored()
    }

    private func tellRestored() {
        guard self.isInterrupted, self.connection != nil, self.subscriptions.missing == 0 else { return }
        self.isInterrupted = false
        self.onEvent(.restored)
    }

    // MARK: The connection

    func connected(_ connection: RedisConnection, generation: Int) {
        self.connection = connection
        self.refusal = nil
        self.turns += 1
        connection.startSubscribing()
        self.subscriptions.connected()
        self.send()
        self.tellRestored()
        self.watch(turn: self.turns)
    }

    func closed(_ connection: RedisConnection, _ error: RedisError) {
        if self.connection === connection { self.connection = nil }
        self.link?.connectionClosed(connection, error)
    }

    func lost(_ error: RedisError) {
        self.subscriptions.disconnected()
        self.beginToWait(error)
        guard !self.isInterrupted else { return }
        self.isInterrupted = true
        self.onEvent(.lost(error))
    }

    func failed(_ error: RedisError, failures: Int) {
        self.lastFailure = error
        if self.isImpatient || error.code == .refused || error.code == .misconfigured { self.giveUpWaiting() }
        self.onEvent(.failed(error, failures: failures))
    }

    /// Asks the server when it was silent, and gives up the connection when it stays so.
    private func watch(turn: Int) {
        self.eventLoop.assumeIsolated().scheduleTask(in: Self.silence) {
            guard turn == self.turns, let connection = self.connection else { return }
            let silent = NIODeadline.now() - connection.lastRead
            if self.subscriptions.isPinging {
                if silent > self.options.timeLimit {
                    return connection.close(RedisError(.timedOut, "Redis did not answer in time"))
                }
            } else if silent >= Self.silence {
                self.subscriptions.addPing()
                self.send()
            }
            self.watch(turn: turn)
        }
    }

    // MARK: Patience, as in `RedisClientCore`

    private func beginToWait(_ error: RedisError? = nil) {
        self.turns += 1
        self.isImpatient = false
        self.lastFailure = error
        let turn = self.turns
        self.eventLoop.assumeIsolated().scheduleTask(in: self.options.patience) {
            guard turn == self.turns, self.connection == nil else { return }
            if self.lastFailure == nil { self.isImpatient = true } else { self.giveUpWaiting() }
        }
    }

    private func giveUpWaiting() {
        self.isImpatient = true
        let error = self.lastFailure ?? RedisError(.unavailable, "Redis did not answer yet")
        self.refusal = error
        self.failWaiters(error)
    }

    // MARK: The end

    func close() {
        guard !self.isClosed else { return }
        self.isClosed = true
        self.failWaiters(Self.closed)
        self.link?.close()
        self.connection = nil
        // They hold who listens, who holds us.
        self.onEvent = { _ in }
        self.onMessage = { _, _ in }
    }
}
