import NIOCore
import Router
import Settings

/// How a router stops.
enum RouterStopSettings {
    static let drainTime = Setting(
        "router.drain_time", default: .seconds(20), in: .zero...(.seconds(3_600)),
        help: "How long a stopping router lets requests and tunnels finish. Connections without one close at once.")

    static let all: [any AnySetting] = [drainTime]
}

/// A router in the process.
struct RouterPart: Part {
    let name = "router"
    let router: Router
    let drainTime: TimeAmount

    func start() async throws { try await self.router.start() }
    func reopenLogs() { self.router.reopenLogs() }
    func stop() async { await self.router.drain(within: self.drainTime) }
}
