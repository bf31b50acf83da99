import Gateway
@preconcurrency import Glibc
import Logging
import NIOCore
import Settings
import Sockets
import Synchronization
import Telemetry

/// How a gateway passes its browsers on when it is started anew.
///
/// A supervisor starts the new process only after the old one has ended. So a gateway that is to stop starts a *bridge*
/// first: the same program with the same arguments, which takes everything over and serves until the next gateway takes it
/// from there. Both steps are the same takeover. A gateway that somebody starts beside the running one needs no bridge.
final class GatewayTakeover: Sendable {
    /// A bridge that has not taken over by then is ended.
    private static let bridgeLimit = TimeAmount.seconds(25)
    /// How often a gateway that starts tries to take over, with a second between: a bridge that cannot be taken over from
    /// ends by itself, and then it can listen.
    private static let attempts = 30

    private let path: String
    /// How long a bridge waits for the next gateway; zero makes none.
    private let wait: TimeAmount
    /// For a bridge, the process that started it.
    private let parent: pid_t?
    private var isBridge: Bool { self.parent != nil }
    private let loop: any EventLoop
    private let logger: Logger
    private let isPassedOn = Atomic(false)
    /// Whether the next gateway has come and is taking over.
    private let isPassingOn = Atomic(false)
    private let isStopping = Atomic(false)
    /// Whether the browsers were passed on, or will not be.
    private let outcome = AsyncStream.makeStream(of: Bool.self)

    /// - Parameter parent: for a bridge, the process that started it.
    init(path: String, wait: Duration, bridgeFrom parent: pid_t?, loop: any EventLoop, logger: Logger) {
        self.path = path
        self.wait = TimeAmount(wait)
        self.parent = parent
        self.loop = loop
        self.logger = logger
        // Its standard error goes nowhere when the process that started it has ended.
        if parent != nil { signal(SIGPIPE, SIG_IGN) }
    }

    /// Takes over from the gateway that runs, if one does. Before listening.
    func take(_ server: GatewayServer) async throws {
        var attempt = 1
        while true {
            do {
                let takeover = try await server.takeOver(at: self.path)
                guard takeover != nil || !self.isBridge else { throw Failure("no gateway waits there") }
                return
            } catch {
                guard attempt < Self.attempts, !self.isBridge else {
                    throw Failure("takeover at \(self.path): \(error); the gateway that runs keeps its browsers")
                }
            }
            attempt += 1
            try await Task.sleep(for: .seconds(1))
        }
    }

    /// Waits for the next gateway.
    func offer(_ server: GatewayServer) throws {
        try server.offerTakeover(
            at: self.path, strange: { if self.isBridge { ThisProcess.askToEnd() } },
            begun: { self.isPassingOn.store(true, ordering: .sequentiallyConsistent) },
            ended: { self.isPassingOn.store(false, ordering: .sequentiallyConsistent) }
        ) {
            self.isPassedOn.store(true, ordering: .sequentiallyConsistent)
            self.outcome.continuation.yield(true)
            // What is left to do is what a stopping gateway does.
            if !self.isStopping.load(ordering: .sequentiallyConsistent) { ThisProcess.askToEnd() }
        }
        if self.isBridge { self.waitForNext() }
    }

    /// No supervisor starts the next gateway before the one that started this bridge has ended, which may still be sending
    /// browsers away that could not be passed on.
    private func waitForNext() {
        guard getppid() != self.parent else {
            _ = self.loop.scheduleTask(in: .milliseconds(100)) { self.waitForNext() }
            return
        }
        _ = self.loop.scheduleTask(in: self.wait) { self.endWithoutNext() }
    }

    /// The time is over, but a gateway that has come before it was gets everything.
    private func endWithoutNext() {
        if self.isPassingOn.load(ordering: .sequentiallyConsistent) {
            _ = self.loop.scheduleTask(in: .milliseconds(100)) { self.endWithoutNext() }
        } else if !self.isPassedOn.load(ordering: .sequentiallyConsistent) {
            ThisProcess.askToEnd()
        }
    }

    /// The gateway is to stop: passes everything on to a bridge.
    func passOn() async {
        self.isStopping.store(true, ordering: .sequentiallyConsistent)
        guard !self.isPassedOn.load(ordering: .sequentiallyConsistent), !self.isBridge, self.wait > .zero else {
            return
        }
        guard let bridge = self.startBridge() else { return }
        let timer = self.loop.scheduleTask(in: Self.bridgeLimit) {
            kill(bridge, SIGKILL)
            self.outcome.continuation.yield(false)
        }
        for await isPassedOn in self.outcome.stream {
            timer.cancel()
            if !isPassedOn { self.logger.warning("The bridge did not take over; browsers are sent away") }
            return
        }
    }

    /// The program that runs, whatever is installed by now: it surely understands what it is told.
    private func startBridge() -> pid_t? {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A session of its own, so that what is sent to this process's group does not end it (POSIX_SPAWN_SETSID).
        posix_spawnattr_setflags(&attributes, 0x80)
        Self.keepDescriptorsFromChildren()
        var arguments = (CommandLine.arguments + ["--bridge", "\(getpid())"]).map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var bridge = pid_t()
        let status = posix_spawn(&bridge, "/proc/self/exe", nil, &attributes, &arguments, environ)
        guard status == 0 else {
            self.logger.warning(
                "No bridge could be started; browsers are sent away",
                metadata: [LogKey.error: "\(String(cString: strerror(status)))"])
            return nil
        }
        self.logger.notice("Passing browsers on to a bridge", metadata: ["pid": "\(bridge)"])
        let child = bridge
        let isWatched = PlainThread.start(name: "bridge") {
            var status: CInt = 0
            while waitpid(child, &status, 0) < 0, errno == EINTR {}
            self.outcome.continuation.yield(false)
        }
        if !isWatched { self.logger.warning("No thread to watch the bridge with") }
        return bridge
    }

    /// Not every descriptor of this process closes by itself in a child, and this child stays: an address to listen on would
    /// stay taken. What the bridge needs comes by the takeover.
    private static func keepDescriptorsFromChildren() {
        guard let folder = opendir("/proc/self/fd") else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let descriptor = CInt(name), descriptor > 2 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        }
    }
}
