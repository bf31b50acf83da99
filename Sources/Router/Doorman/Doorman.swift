import CDescriptors
import Glibc
package import Logging
package import NIOCore
package import Settings
import Sockets
import Synchronization

/// Accepts connections, looks at the first bytes without consuming them, and gives each connection away:
/// to a gateway (the socket itself) or to the proxy (`adopt`).
///
/// It is one thread of its own over `epoll`, because both ways out want a bare descriptor: a handed-over connection never
/// meets an event loop of this process, and costs it nothing afterwards. A connection that says too little within
/// `headTime` is closed; at most `undecidedLimit` may be in that state, then the oldest one is closed for the newest. One for
/// which no gateway has room waits for `handoffTime` at most (`HandoffQueue`).
/// When the process has no descriptors left, accepting pauses and resumes.
package final class Doorman: Sendable {
    package struct Configuration: Sendable {
        /// The paths of the gateways, and how to pass sockets to them. Empty: everything goes to the proxy.
        package var rule: PeekRule
        package var gateways: [GatewayHandoff]
        /// From accepting to the end of the first request's head.
        package var headTime: TimeAmount
        /// Connections that may be undecided at the same time, and as many may wait for a gateway.
        package var undecidedLimit: Int
        /// How long one may wait for a gateway that has room.
        package var handoffTime = TimeAmount(RouterSettings.gatewayQueueTimeout.defaultValue)
        /// How long accepting pauses when descriptors have run out.
        package var pause: TimeAmount = .milliseconds(100)
        /// Of the Unix sockets it makes.
        package var socketFile = SocketFile()
        /// The path where routers of this host share their listening sockets (`Takeover`); `nil` for one that is alone.
        package var takeover: String?

        package init(
            rule: PeekRule, gateways: [GatewayHandoff], headTime: TimeAmount, undecidedLimit: Int,
            socketFile: SocketFile = SocketFile(), takeover: String? = nil
        ) {
            self.socketFile = socketFile
            self.takeover = takeover
            self.rule = rule
            self.gateways = gateways
            self.headTime = headTime
            self.undecidedLimit = undecidedLimit
        }
    }

    /// What the owner's threads and the doorman's share.
    private final class Shared: Sendable {
        /// The eventfd that wakes the thread; -1 once the thread is to end, from when on it alone uses and closes it.
        private let wakeup: Mutex<CInt>
        private let patience = Mutex(TimeAmount.zero)

        init(wakeup: CInt) { self.wakeup = Mutex(wakeup) }

        var isWanted: Bool { self.wakeup.withLock { $0 >= 0 } }
        /// How long the thread goes on with those who were let in; settled once it is not wanted any more.
        var lastMoment: TimeAmount { self.patience.withLock { $0 } }

        func wakeToEnd(lastMoment: TimeAmount) {
            self.wakeup.withLock { wakeup in
                guard wakeup >= 0 else { return }
                self.patience.withLock { $0 = lastMoment }
                var one: UInt64 = 1
                _ = write(wakeup, &one, MemoryLayout<UInt64>.size)
                wakeup = -1
            }
        }
    }

    /// Where it listens, with the ports the system chose.
    package let boundAddresses: [ListenAddress]
    package let secureAddresses: [ListenAddress]

    /// All of them as a person reads them.
    var allAddresses: [String] {
        self.boundAddresses.map(\.description)
            + self.secureAddresses.map { address in
                var listen = RouterListen(plain: address)
                listen.isSecure = true
                return listen.description
            }
    }
    private let shared: Shared
    private let ended: EventLoopFuture<Void>

    /// Opens the listening sockets and starts the thread.
    ///
    /// - Parameters:
    ///   - secure: where browsers speak TLS; their connections all go to the proxy.
    ///   - adopt: takes a connection, and its descriptor with it; called on the doorman's thread.
    ///   - eventLoop: where `stop`'s future is completed.
    /// - Throws: `ListenError` when one address cannot be listened on; then none is.
    package convenience init(
        listen addresses: [ListenAddress], secure: [ListenAddress] = [], configuration: Configuration,
        metrics: RouterMetrics, logger: Logger,
        eventLoop: any EventLoop, adopt: @escaping @Sendable (Visitor) -> Void
    ) throws(ListenError) {
        let start = { (inherited: inout InheritedSockets, takeover: CInt) throws(ListenError) -> Running in
            let sockets = try DoormanSockets(
                plain: addresses, secure: secure, file: configuration.socketFile, inherited: &inherited,
                takeover: takeover)
            return try Self.run(sockets, eventLoop) {
                DoormanRounds(sockets, configuration: configuration, metrics: metrics, logger: logger, adopt: adopt)
            }
        }
        if let path = configuration.takeover {
            // The thread runs, and answers, before the next newcomer may ask.
            self.init(try Takeover.with(path, start))
        } else {
            var none = InheritedSockets()
            self.init(try start(&none, -1))
        }
    }

    private struct Running {
        let sockets: DoormanSockets
        let shared: Shared
        let ended: EventLoopFuture<Void>
    }

    private init(_ running: Running) {
        let listeners = running.sockets.listeners
        self.boundAddresses = listeners.filter { !$0.isSecure }.map(\.address)
        self.secureAddresses = listeners.filter(\.isSecure).map(\.address)
        self.shared = running.shared
        self.ended = running.ended
    }

    private static func run(
        _ sockets: DoormanSockets, _ eventLoop: any EventLoop, rounds: @escaping @Sendable () -> DoormanRounds
    ) throws(ListenError) -> Running {
        let shared = Shared(wakeup: sockets.wakeup)
        let promise = eventLoop.makePromise(of: Void.self)
        let started = PlainThread.start(name: "doorman") {
            var rounds = rounds()
            rounds.run { shared.isWanted }
            rounds.end(after: shared.lastMoment)
            promise.succeed()
        }
        guard started else {
            sockets.closeAll()
            promise.succeed()
            throw sockets.failure("no thread can be started")
        }
        return Running(sockets: sockets, shared: shared, ended: promise.futureResult)
    }

    deinit {
        self.shared.wakeToEnd(lastMoment: .zero)
    }

    /// Closes the listening sockets at once. Who was let in already has `lastMoment` to say what is wanted, because nobody
    /// outside can know that the router stops; then who has not said a byte is closed, and who is in the middle of a first
    /// request goes to the proxy. The future completes when the thread has ended.
    @discardableResult
    package func stop(lastMoment: TimeAmount = .zero) -> EventLoopFuture<Void> {
        self.shared.wakeToEnd(lastMoment: lastMoment)
        return self.ended
    }
}
