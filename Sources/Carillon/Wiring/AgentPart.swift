import ChannelLayer
import Glibc
import JSON
import Logging
import Metrics
import NIOCore
import NIOPosix
import Sockets
import Supervision
import Synchronization
import Telemetry

/// Where an agent's notices go: into the layer, or to the publish API when the layer reaches nobody else.
struct AgentOutlet {
    let layer: any ChannelLayer
    let publish: @Sendable (ByteBuffer) async throws -> Void
    /// The group in which snapshots are asked for; `nil` over the API, where nothing can be heard.
    let askGroup: GroupName?

    /// - Throws: `Failure` for an address that cannot be used.
    init(_ configuration: AgentConfiguration, _ choice: LayerChoice, logger: Logger) throws {
        let layer = choice.make(
            observer: LayerDropLog(logger: Logger(label: "layer"), factory: MetricsSystem.factory))
        let group = try GroupName(configuration.group)
        self.layer = layer
        if choice.isShared, configuration.publishURL == nil {
            self.askGroup = try GroupName(configuration.askGroup)
            self.publish = { json in
                try await layer.send(.publication(.json(JSONText(unchecked: json))), toGroup: group)
            }
        } else {
            let url = configuration.publishURL ?? "http://127.0.0.1:8000"
            let publisher = try Publisher(url: url, key: nil, timeout: .seconds(5))
            self.askGroup = nil
            self.publish = { json in try await publisher.publish(json, to: group.text) }
            logger.info("Process states go to the publish API", metadata: [LogKey.address: "\(url)"])
        }
    }
}

/// An agent in the process: its two sides, and what asks it for snapshots.
final class AgentPart: Part {
    let name = "agent"
    private let agent: Agent
    private let outlet: AgentOutlet
    private let logger: Logger
    private let running = Mutex<(task: Task<Void, Never>, feed: (any GroupFeed)?)?>(nil)

    init(agent: Agent, outlet: AgentOutlet, logger: Logger) {
        self.agent = agent
        self.outlet = outlet
        self.logger = logger
    }

    func start() async throws {
        let (agent, logger) = (self.agent, self.logger)
        // A task of its own: it asks, waits and sends for as long as the part runs, and `stop` cancels it.
        let task = Task { await agent.run() }
        var feed: (any GroupFeed)?
        if let group = self.outlet.askGroup {
            feed = self.outlet.layer.openFeed(SnapshotQuestions(agent: agent))
            feed?.follow(group) { error in
                guard let error else { return }
                logger.warning("Nobody can ask for snapshots now", metadata: [LogKey.error: "\(error)"])
            }
        }
        self.running.withLock { $0 = (task, feed) }
        NIOThreadPool.singleton.submit { _ in
            do {
                try EventPump(input: STDIN_FILENO, output: STDOUT_FILENO).run(agent.take)
                logger.notice("supervisord has closed its side")
            } catch {
                logger.error("The dialogue with supervisord is broken", metadata: [LogKey.error: "\(error)"])
            }
            // Nothing is left to do; supervisord, if it is still there, starts another agent.
            ThisProcess.askToEnd()
        }
        logger.notice("Agent started", metadata: [LogKey.group: "\(self.outlet.askGroup?.text ?? "")"])
    }

    func stop() async {
        let running = self.running.withLock { $0 }
        running?.feed?.close()
        running?.task.cancel()
        await running?.task.value
    }
}

/// Hears who wants to know all processes.
private struct SnapshotQuestions: GroupFeedListener {
    let agent: Agent

    func arrived(_ message: LayerMessage, in group: GroupName) {
        if message.type == Agent.snapshotRequest { self.agent.askForSnapshot() }
    }

    func feedInterrupted(_ reason: LayerError) {}

    /// What was published meanwhile may not have arrived.
    func feedRestored() { self.agent.askForSnapshot() }
}

/// What this machine says of itself.
enum HostName {
    /// The host's name; `localhost` when it has none.
    static var own: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    static var secondsSince1970: Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec / 1_000_000) / 1_000
    }
}
