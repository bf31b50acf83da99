package import Metrics
import Telemetry

/// What the worker server counts.
package struct WorkersMetrics: Sendable {
    let connections: Meter
    let busy: Meter
    let queued: Meter
    let answers: StatusCounters
    let rejected: Counter
    let overdue: Counter
    let stuck: Meter
    let replacedThreads: Counter
    let malformed: Counter
    let slowRequests: Counter
    let stalls: Counter
    let disconnects: Counter
    let refusedConnections: Counter

    package init(factory: any MetricsFactory = MetricsSystem.factory) {
        let table = MetricTable("carillon_workers_", factory: factory)
        self.connections = table.gauge(
            "connections",
            "Connections open now; near workers.connections somebody holds them without asking anything.")
        self.busy = table.gauge(
            "busy_threads",
            "Threads that run a request; always at workers.threads means that more threads are needed.")
        self.queued = table.gauge("queued_requests", "Requests that wait for a thread.")
        self.answers = table.counters("answers", byStatus: "Answers, by the hundreds of their status.")
        self.rejected = table.counter(
            "rejected", "Requests answered 503 because every thread was busy and the queue full, or the wait too long.")
        self.overdue = table.counter(
            "overdue", "Requests over their time limit, answered 504; each took a thread away.")
        self.stuck = table.gauge("stuck_threads", "Threads over their time that have not come back.")
        self.replacedThreads = table.counter("replaced_threads", "Threads started in place of stuck ones.")
        self.malformed = table.counter("malformed_requests", "Requests that were not HTTP, or beyond a limit.")
        self.slowRequests = table.counter("slow_requests", "Requests that took too long to arrive.")
        self.stalls = table.counter("stalled_answers", "Connections cut because the visitor stopped reading.")
        self.disconnects = table.counter("disconnects", "Visitors that left before their answer was whole.")
        self.refusedConnections = table.counter(
            "refused_connections", "Connections refused because too many were open.")
    }
}
