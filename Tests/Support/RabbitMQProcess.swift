import Foundation
import Synchronization

/// A RabbitMQ node of its own: name, cookie, port mapper, ports and files. Stopped with the test process, whatever ends
/// that.
///
/// It takes some seconds to start: share one, with names of your own in it, unless the test stops or freezes it.
public final class RabbitMQProcess: Sendable {
    public let port: Int
    /// Its files; gone with it.
    public var folder: String { self.files.path }
    private let files: TestFolder
    private let node: String
    /// Whether another node's port mapper is used.
    private let isJoining: Bool
    private let environment: [String: String]
    private let running = Mutex<(process: Process, leash: Pipe)?>(nil)

    private static let everybodys = Mutex<Task<RabbitMQProcess, any Error>?>(nil)

    /// One for the whole run.
    public static func shared() async throws -> RabbitMQProcess {
        let start = self.everybodys.withLock { task in
            let start = task ?? Task { try await RabbitMQProcess.started() }
            task = start
            return start
        }
        return try await start.value
    }

    /// - Parameters:
    ///   - cluster: a running node, with which this one is to be one broker. It must be the last one to end.
    ///   - configuration: makes the lines of `rabbitmq.conf`, given the folder of the node's files.
    public static func started(
        joining cluster: RabbitMQProcess? = nil, configuration: (_ folder: String) throws -> String = { _ in "" }
    ) async throws -> RabbitMQProcess {
        let broker = try RabbitMQProcess(joining: cluster, configuration: configuration)
        try await broker.start()
        return broker
    }

    /// - Throws: when the Debian package is missing.
    private init(joining cluster: RabbitMQProcess?, configuration: (_ folder: String) throws -> String) throws {
        guard FileManager.default.fileExists(atPath: Self.program("rabbitmq-server")) else {
            throw RabbitMQProcessError("install the Debian package rabbitmq-server (make test does)")
        }
        self.files = try TestFolder()
        let folder = self.files.path
        var lines = try configuration(folder)
        if let cluster {
            lines += """

                cluster_formation.peer_discovery_backend = classic_config
                cluster_formation.classic_config.nodes.1 = \(cluster.node)

                """
            // Nodes of one cluster know each other by it.
            let cookie = "\(folder)/.erlang.cookie"
            try FileManager.default.copyItem(atPath: "\(cluster.folder)/.erlang.cookie", toPath: cookie)
        }
        for (name, text) in [("rabbitmq.conf", lines), ("plugins", "[].\n"), ("env.conf", "")] {
            try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
        }
        self.isJoining = cluster != nil
        let mapperPort = try cluster?.environment["ERL_EPMD_PORT"] ?? "\(Self.freePort())"
        self.port = try Self.freePort()
        self.node = "carillon\(self.port)@localhost"
        self.environment = [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": folder, "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": mapperPort, "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node, "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": "\(self.port)", "RABBITMQ_DIST_PORT": "\(try Self.freePort())",
            "RABBITMQ_CONF_ENV_FILE": "\(folder)/env.conf", "RABBITMQ_CONFIG_FILE": "\(folder)/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": "\(folder)/plugins", "RABBITMQ_MNESIA_BASE": "\(folder)/data",
            "RABBITMQ_LOG_BASE": "\(folder)/logs", "RABBITMQ_LOGS": "-", "RABBITMQ_PID_FILE": "\(folder)/pid",
            // Idle schedulers that spin would take the processor from the other tests.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}",
        ]
    }

    /// The address, with a user and a virtual host of the node.
    public func url(user: String = "guest:guest", virtualHost: String = "%2f") -> String {
        "amqp://\(user)@127.0.0.1:\(self.port)/\(virtualHost)"
    }

    // MARK: Life

    /// Starts it, and waits until it answers.
    public func start() async throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        // The shell lives as long as its input is open, which is as long as this process lives.
        process.arguments = [
            "-c",
            """
            \(self.isJoining ? "mapper=" : "epmd -port $ERL_EPMD_PORT -address 127.0.0.1 & mapper=$!")
            setsid \(Self.program("rabbitmq-server")) </dev/null >>"$HOME/log" 2>&1 & server=$!
            echo $server >"$HOME/group"
            rm -f "$HOME/keep"
            # What ends this process and all its children must leave us to do the rest.
            trap '' HUP INT TERM
            cat >/dev/null
            kill -KILL -$server $mapper
            [ -e "$HOME/keep" ] || rm -rf "$HOME"
            """,
        ]
        process.environment = self.environment
        process.currentDirectoryURL = URL(fileURLWithPath: self.folder)
        let leash = Pipe()
        process.standardInput = leash
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.running.withLock { $0 = (process, leash) }
        try await Self.poll("RabbitMQ answers: see \(self.folder)/log", seconds: 120) { self.answers() }
    }

    /// Ends it at once, as a power cut does. It can be started again, with its files.
    public func kill() async throws {
        _ = FileManager.default.createFile(atPath: "\(self.folder)/keep", contents: nil)
        try await self.cutOff()
    }

    /// Ends it for good, with its files.
    public func end() async throws {
        try await self.cutOff()
        self.files.remove()
    }

    private func cutOff() async throws {
        guard
            let (process, leash) = self.running.withLock({ running in
                defer { running = nil }
                return running
            })
        else { return }
        try leash.fileHandleForWriting.close()
        try await Self.poll("RabbitMQ is gone", seconds: 30) { !process.isRunning && !self.answers() }
    }

    /// It keeps its sockets and does nothing.
    public func freeze() throws { try suspend(-self.group()) }

    public func thaw() throws {
        let group = try self.group()
        guard killpg(group, SIGCONT) == 0 else { throw RabbitMQProcessError("group \(group) cannot be told to go on") }
    }

    /// The process group of the node, without what watches it.
    private func group() throws -> pid_t {
        let text = try String(contentsOfFile: "\(self.folder)/group", encoding: .utf8)
        guard let group = pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw RabbitMQProcessError("\(self.folder)/group is no number: \(text)")
        }
        return group
    }

    /// `rabbitmqctl` for this node: what it prints.
    @discardableResult
    public func control(_ words: String...) async throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.program("rabbitmqctl"))
        process.arguments = ["--node", self.node, "--quiet"] + words
        process.environment = self.environment
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        let status = try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<CInt, any Error>) in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        guard status == 0 else { throw RabbitMQProcessError("rabbitmqctl \(words): \(text)") }
        return text
    }

    // MARK: Helpers

    private static func program(_ name: String) -> String {
        // Only root or the user "rabbitmq" may use Debian's wrapper in /usr/sbin; this is what it calls.
        "/usr/lib/rabbitmq/bin/\(name)"
    }

    /// Whether an AMQP handshake is answered.
    private func answers() -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: 2, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = Self.loopback(port: self.port)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0, send(descriptor, "AMQP\0\0\u{9}\u{1}", 8, Int32(MSG_NOSIGNAL)) == 8 else {
            return false
        }
        var first: UInt8 = 0
        return recv(descriptor, &first, 1, 0) == 1 && first == 1
    }

    private static func loopback(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return address
    }

    /// A port nobody listens on. Outside the range that outgoing connections get.
    public static func freePort() throws -> Int {
        for _ in 0..<1_000 {
            let port = Int.random(in: 20_000..<32_000)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            var address = Self.loopback(port: port)
            let bound = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            if bound == 0 { return port }
        }
        throw RabbitMQProcessError("no free port on the loopback")
    }

    private static func poll(_ what: String, seconds: Int, until isTrue: () -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(seconds)
        while !isTrue() {
            guard ContinuousClock.now < end else { throw RabbitMQProcessError("\(what): not within \(seconds) s") }
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}

public struct RabbitMQProcessError: Error, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}
