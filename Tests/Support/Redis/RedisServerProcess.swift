import Foundation
import Synchronization

/// A real redis-server (or sentinel) on a free loopback port and a Unix socket, with its data in a temporary directory.
///
/// It ends with the test process at the latest, however that ends: the shell that started it waits for a socket to close,
/// and if somebody kills the shell, the server goes with it.
public final class RedisServerProcess: Sendable {
    public struct Options: Sendable {
        /// Of the user `default`.
        public var password: String?
        /// More users, as `ACL` rules: `alice on >secret ~* &* +@all`.
        public var users: [String] = []
        /// Serves TLS only (on `port`), with these; the Unix socket stays in the clear.
        public var certificates: TestCertificates?
        /// The port of a master on this host.
        public var replicaOf: Int?
        public var isCluster = false
        /// Keeps its data over a `kill`.
        public var isPersistent = false
        /// More lines of configuration: `maxmemory 2mb`.
        public var lines: [String] = []

        public init() {}
    }

    private struct Running {
        /// While it is open the server lives.
        let lifeline: Int32
        let server: pid_t
        /// Signalled when the server is gone.
        let end: DispatchSemaphore
    }

    public let port: Int
    private let folder: TestFolder
    public var directory: String { self.folder.path }
    public var socketPath: String { self.folder.file("redis.sock") }
    private let isSentinel: Bool
    private let password: String?
    private let running = Mutex<Running?>(nil)

    /// Starts a server, and returns when it is ready for commands.
    public static func start(_ options: Options = Options()) async throws -> RedisServerProcess {
        try await Self.start(options.lines, isSentinel: false, options)
    }

    /// Starts a sentinel that watches the master at `port` under `name`, alone (quorum 1).
    public static func startSentinel(
        watching name: String, at port: Int, password: String? = nil, lines: [String] = []
    ) async throws -> RedisServerProcess {
        let watch =
            [
                "sentinel monitor \(name) 127.0.0.1 \(port) 1", "sentinel down-after-milliseconds \(name) 500",
                "sentinel failover-timeout \(name) 5000",
            ] + (password.map { ["sentinel auth-pass \(name) \($0)"] } ?? []) + lines
        return try await Self.start(watch, isSentinel: true, Options())
    }

    private static func start(
        _ lines: [String], isSentinel: Bool, _ options: Options
    ) async throws -> RedisServerProcess {
        var failure: any Error = RedisServerFailure("not started")
        // Somebody else may take the free port in between.
        for _ in 0..<5 {
            let server = try RedisServerProcess(isSentinel: isSentinel, password: options.password)
            try server.configure(lines, options)
            do {
                try await server.start()
                return server
            } catch {
                failure = error
                server.stop()
            }
        }
        throw failure
    }

    private init(isSentinel: Bool, password: String?) throws {
        self.port = try freePort()
        self.isSentinel = isSentinel
        self.password = password
        self.folder = try TestFolder()
    }

    private func configure(_ lines: [String], _ options: Options) throws {
        var all = [
            "bind 127.0.0.1", "dir \(self.directory)", "unixsocket \(self.socketPath)", "save \"\"",
            "appendonly \(options.isPersistent ? "yes" : "no")", "appendfsync always", "daemonize no",
            "repl-diskless-sync-delay 0", "repl-ping-replica-period 1", "shutdown-timeout 0",
        ]
        if self.isSentinel { all = ["bind 127.0.0.1", "dir \(self.directory)", "unixsocket \(self.socketPath)"] }
        if let certificates = options.certificates {
            all += [
                "port 0", "tls-port \(self.port)", "tls-cert-file \(certificates.certificateFile)",
                "tls-key-file \(certificates.keyFile)", "tls-ca-cert-file \(certificates.authorityFile)",
                "tls-auth-clients optional",
            ]
        } else {
            all.append("port \(self.port)")
        }
        if let password = options.password { all += ["requirepass \(password)", "masterauth \(password)"] }
        all += options.users.map { "user \($0)" }
        if let master = options.replicaOf { all.append("replicaof 127.0.0.1 \(master)") }
        if options.isCluster {
            all += ["cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 1000"]
        }
        let text = (all + lines).joined(separator: "\n") + "\n"
        try text.write(toFile: self.directory + "/redis.conf", atomically: true, encoding: .utf8)
    }

    // MARK: Start and stop

    /// Starts it again, on the same port; with its data when it is persistent.
    public func start() async throws {
        let started = try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try self.launch() }) }
        }
        self.running.withLock { $0 = started }
    }

    private func launch() throws -> Running {
        // A word ends the server; the end of the stream is the end of this process, after which nobody wants the data. A
        // signal that ends this process together with its children must leave the shell to do so. The shell waits until the
        // server has left its port, which it leaves after its output.
        let script = """
            sh -c 'echo $$; exec setpriv --pdeathsig KILL redis-server "$@"' sh "$@" & server=$!; exec > /dev/null 2>&1
            trap '' HUP INT TERM
            read -r word; kill -KILL $server; wait $server; [ "$word" ] || rm -rf "${1%/*}"
            """
        let mode = self.isSentinel ? ["--sentinel"] : []
        let shell = try ChildShell(["/bin/sh", "-c", script, "sh", self.directory + "/redis.conf"] + mode)
        let lines = LineReader(shell.output)
        guard let server = lines.next().flatMap({ pid_t($0) }) else {
            close(shell.input)
            close(shell.output)
            throw RedisServerFailure("redis-server does not run")
        }
        let running = Running(lifeline: shell.input, server: server, end: DispatchSemaphore(value: 0))
        var said = ""
        var isReady = false
        while !isReady, let line = lines.next() {
            said += line + "\n"
            isReady = line.contains(self.isSentinel ? "Sentinel ID is" : "eady to accept connections")
        }
        Thread.detachNewThread {
            // The server alone holds the other end.
            while lines.next() != nil {}
            close(shell.output)
            var status: Int32 = 0
            waitpid(shell.process, &status, 0)
            running.end.signal()
        }
        guard isReady else {
            Self.end(running)
            throw RedisServerFailure("redis-server did not become ready: \(said)")
        }
        return running
    }

    /// Ends it at once, as a power cut does.
    public func kill() {
        if let running = self.running.withLock({ $0.take() }) { Self.end(running) }
    }

    private static func end(_ running: Running) {
        // The shell kills it at once. `send`, because a shell that is gone must not end this process (SIGPIPE).
        _ = send(running.lifeline, "end\n", 4, Int32(MSG_NOSIGNAL))
        close(running.lifeline)
        _ = running.end.wait(timeout: .now() + 10)
    }

    /// Ends it and removes its directory.
    public func stop() {
        self.kill()
        self.folder.remove()
    }

    deinit { self.stop() }

    /// Stops its process in the middle of whatever it does (`SIGSTOP`): connections stay open, nothing is answered.
    public func pause() throws {
        if let server = self.running.withLock({ $0?.server }) { try suspend(server) }
    }

    public func resume() {
        if let server = self.running.withLock({ $0?.server }) { _ = Glibc.kill(server, SIGCONT) }
    }

    // MARK: Commands

    /// Runs one command by redis-cli over the Unix socket.
    ///
    /// - Returns: what redis-cli prints, without the last line feed.
    @discardableResult
    public func command(_ arguments: String...) async throws -> String {
        let password = self.password.map { ["REDISCLI_AUTH": $0] } ?? [:]
        let (status, text) = try await run("redis-cli", ["-s", self.socketPath] + arguments, password)
        guard status == 0 else { throw RedisServerFailure("redis-cli \(arguments): \(text)") }
        return text.trimmingCharacters(in: .newlines)
    }

    /// Repeats `command` until what it prints is as wanted. The server decides when: a replica is in step, a master chosen.
    public func waitUntil(
        _ arguments: [String], within limit: Duration = .seconds(20), _ isWanted: (String) -> Bool
    ) async throws {
        let end = ContinuousClock.now + limit
        var last = ""
        while ContinuousClock.now < end {
            let password = self.password.map { ["REDISCLI_AUTH": $0] } ?? [:]
            last = try await run("redis-cli", ["-s", self.socketPath] + arguments, password).1
                .trimmingCharacters(in: .newlines)
            if isWanted(last) { return }
        }
        throw RedisServerFailure("redis-cli \(arguments) still prints \(last)")
    }
}

public struct RedisServerFailure: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// A TCP port nobody listens on at this moment.
public func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
        }
    }
    guard isBound else { throw RedisServerFailure("no free port") }
    return Int(UInt16(bigEndian: address.sin_port))
}
