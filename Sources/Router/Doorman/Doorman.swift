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
/// `headTime` is closed; at most `undecidedLimit` may be in that state, then the oldest one is closed for the newest.
/// When the process has no descriptors left, accepting pauses and resumes.
package final class Doorman: Sendable {
    package struct Configuration: Sendable {
        /// The paths of the gateways, and how to pass sockets to them. Empty: everything goes to the proxy.
        package var rule: PeekRule
        package var gateways: [GatewayHandoff]
        /// From accepting to the end of the first request's head.
        package var headTime: TimeAmount
        /// Connections that may be undecided at the same time.
        package var undecidedLimit: Int
        /// How long accepting pauses when descriptors have run out.
        package var pause: TimeAmount = .milliseconds(100)
        /// Of the Unix sockets it makes.
        package var socketFile = SocketFile()

        package init(
            rule: PeekRule, gateways: [GatewayHandoff], headTime: TimeAmount, undecidedLimit: Int,
            socketFile: SocketFile = SocketFile()
        ) {
            self.socketFile = socketFile
            self.rule = rule
            self.gateways = gateways
            self.headTime = headTime
            self.undecidedLimit = undecidedLimit
        }
    }

    /// What the owner's threads and the doorman's share.
    private final class Shared: Sendable {
        /// The eventfd that wakes the thread; -1 once the thread is to end, from when on it alone uses and closes it.
        let wakeup: Mutex<CInt>

        init(wakeup: CInt) { self.wakeup = Mutex(wakeup) }

        func wakeToEnd() {
            self.wakeup.withLock { wakeup in
                guard wakeup >= 0 else { return }
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
    package init(
        listen addresses: [ListenAddress], secure: [ListenAddress] = [], configuration: Configuration,
        metrics: RouterMetrics, logger: Logger,
        eventLoop: any EventLoop, adopt: @escaping @Sendable (Visitor) -> Void
    ) throws(ListenError) {
        var listeners: [ListeningSocket] = []
        do throws(ListenError) {
            for address in addresses { listeners += try ListeningSocket.open(address, file: configuration.socketFile) }
            for address in secure {
                listeners += try ListeningSocket.open(address, file: configuration.socketFile).map { socket in
                    var socket = socket
                    socket.isSecure = true
                    return socket
                }
            }
        } catch {
            listeners.forEach { $0.close() }
            throw error
        }
        let (epoll, wakeup) = (cdescriptors_epoll_create(), cdescriptors_eventfd())
        guard epoll >= 0, wakeup >= 0 else {
            let problem = ListeningSocket.errorText(errno)
            listeners.forEach { $0.close() }
            for descriptor in [epoll, wakeup] where descriptor >= 0 { _ = close(descriptor) }
            throw ListenError(address: addresses.first?.description ?? "-", problem: problem)
        }
        self.boundAddresses = listeners.filter { !$0.isSecure }.map(\.address)
        self.secureAddresses = listeners.filter(\.isSecure).map(\.address)
        let shared = Shared(wakeup: wakeup)
        self.shared = shared
        let promise = eventLoop.makePromise(of: Void.self)
        self.ended = promise.futureResult
        let sockets = listeners
        let started = PlainThread.start(name: "doorman") {
            var rounds = DoormanRounds(
                epoll: epoll, wakeup: wakeup, listeners: sockets, configuration: configuration, metrics: metrics,
                logger: logger, adopt: adopt)
            rounds.run { shared.wakeup.withLock { $0 >= 0 } }
            _ = close(wakeup)
            promise.succeed()
        }
        guard started else {
            listeners.forEach { $0.close() }
            for descriptor in [epoll, wakeup] { _ = close(descriptor) }
            promise.succeed()
            throw ListenError(address: addresses.first?.description ?? "-", problem: "no thread can be started")
        }
    }

    deinit {
        self.shared.wakeToEnd()
    }

    /// Closes the listening sockets at once. Who has not said a byte is closed; who is in the middle of a first request
    /// goes to the proxy. The future completes when the thread has ended.
    @discardableResult
    package func stop() -> EventLoopFuture<Void> {
        self.shared.wakeToEnd()
        return self.ended
    }
}
