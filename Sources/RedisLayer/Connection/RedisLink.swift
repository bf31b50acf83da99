import ChannelLayer
import Logging
import NIOCore
import Telemetry

/// Whose link it is. Everything is called on the link's loop.
protocol RedisLinkOwner: RedisConnectionOwner {
    /// There is a connection, ready for commands.
    func connected(_ connection: RedisConnection, generation: Int)
    /// The connection is lost; the link connects again by itself.
    func lost(_ error: RedisError)
    /// An attempt to connect failed, the `failures`-th in a row.
    func failed(_ error: RedisError, failures: Int)
}

/// Keeps one connection to one Redis alive: connects, notices the loss, connects again, until it is closed.
///
/// Lives on its event loop.
final class RedisLink {
    private enum State {
        case idle
        case connecting
        case connected(RedisConnection, since: NIODeadline)
        case waiting
        case closed
    }

    private let endpoint: RedisEndpoint
    private let connector: RedisConnector
    private let backoff: Backoff
    private let eventLoop: any EventLoop
    private let logger: Logger
    private weak var owner: (any RedisLinkOwner)?
    private var state = State.idle
    private var failures = 0
    private var generation = 0
    /// The last failure that was logged, so that each is logged once.
    private var logged: RedisError?

    /// A connection that lived shorter than this is a failure as well: the next attempt waits.
    private static let minimumLife = TimeAmount.seconds(1)

    init(
        _ endpoint: RedisEndpoint, options: RedisClientOptions, eventLoop: any EventLoop, logger: Logger,
        owner: any RedisLinkOwner
    ) {
        self.endpoint = endpoint
        self.connector = RedisConnector(endpoint, limit: options.connectLimit, eventLoop: eventLoop)
        self.backoff = options.backoff
        self.eventLoop = eventLoop
        self.logger = logger
        self.owner = owner
    }

    func start() {
        guard case .idle = self.state else { return }
        self.connect()
    }

    private func connect() {
        self.state = .connecting
        self.connector.connect { result in
            switch result {
            case .success(let connection): self.opened(connection)
            case .failure(let error): self.failed(error)
            }
        }
    }

    private func opened(_ connection: RedisConnection) {
        guard case .connecting = self.state else {
            return connection.close(RedisError(.closed, "the client was closed"))
        }
        guard connection.isOpen else {
            return self.failed(RedisError(.connectionLost, "the connection was lost at once"))
        }
        self.generation += 1
        self.state = .connected(connection, since: .now())
        if self.generation > 1 || self.logged != nil {
            self.logger.notice("Connected to Redis again", metadata: [LogKey.address: "\(self.endpoint.shownPlace)"])
        }
        self.logged = nil
        connection.owner = self.owner
        self.owner?.connected(connection, generation: self.generation)
    }

    /// The connection ended; its owner says so.
    func connectionClosed(_ connection: RedisConnection, _ error: RedisError) {
        guard case .connected(let current, let since) = self.state, current === connection else { return }
        self.log(.warning, "Lost the connection to Redis", error)
        self.failures = since + Self.minimumLife > .now() ? self.failures + 1 : 0
        self.state = .waiting
        self.owner?.lost(error)
        self.connectAgain()
    }

    private func failed(_ error: RedisError) {
        guard case .connecting = self.state else { return }
        self.failures += 1
        if self.logged != error { self.log(.warning, "Cannot connect to Redis", error) }
        self.logged = error
        self.state = .waiting
        self.owner?.failed(error, failures: self.failures)
        self.connectAgain()
    }

    private func connectAgain() {
        guard case .waiting = self.state else { return }
        // At once after the first loss: usually the server is there.
        guard self.failures > 0 else { return self.connect() }
        let delay = self.backoff.delay(after: self.failures, random: .random(in: 0...1))
        self.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) {
            guard case .waiting = self.state else { return }
            self.connect()
        }
    }

    private func log(_ level: Logger.Level, _ message: Logger.Message, _ error: RedisError) {
        self.logger.log(
            level: level, message,
            metadata: [LogKey.address: "\(self.endpoint.shownPlace)", LogKey.error: "\(error.message)"])
    }

    /// Ends everything; the owner hears no more.
    func close() {
        let before = self.state
        self.state = .closed
        if case .connected(let connection, _) = before {
            connection.close(RedisError(.closed, "the client was closed"))
        }
    }
}
