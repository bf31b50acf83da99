import Logging
import ServiceLifecycle
import Telemetry

/// Something a process does from its start to its end.
protocol Part: Sendable {
    /// For health and logs.
    var name: String { get }
    /// Begins. Returns when it works.
    func start() async throws
    /// Ends in order: takes nothing new, finishes or sends away what it has.
    func stop() async
    /// Opens files of logs anew, which somebody may have moved away.
    func reopenLogs()
}

extension Part {
    func reopenLogs() {}
}

/// A part under the life cycle's care: it was started before, and is stopped when its turn comes.
struct PartService: Service {
    let part: any Part

    func run() async throws {
        // Ends with the shutdown; being cancelled means the same here.
        try? await gracefulShutdown()
        await self.part.stop()
    }
}

/// Parts that stop at the same time: a router's tunnels end when the gateway behind them sends its browsers away.
struct PartsTogether: Part {
    let name: String
    let parts: [any Part]

    func start() async throws {
        var running: [any Part] = []
        for part in self.parts {
            do {
                try await part.start()
            } catch {
                for part in running { await part.stop() }
                throw error
            }
            running.append(part)
        }
    }

    func reopenLogs() {
        for part in self.parts { part.reopenLogs() }
    }

    func stop() async {
        await withTaskGroup(of: Void.self) { group in
            for part in self.parts { group.addTask { await part.stop() } }
        }
    }
}
