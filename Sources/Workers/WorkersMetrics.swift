package import Metrics
import Telemetry

/// What the worker server counts.
package struct WorkersMetrics: Sendable {
    let connections: Meter
    let busy: Meter
    let queued: Meter
    /// By the hundreds of the status, from 200.
    private let answers: [Counter]
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
        self.connections = Self.connections.gauge(factory: factory)
        self.busy = Self.busy.gauge(factory: factory)
        self.queued = Self.queued.gauge(factory: factory)
        self.answers = (2...5).map { Self.answers.counter([("status", "\($0)xx")], factory: factory) }
        self.rejected = Self.rejected.counter(factory: factory)
        self.overdue = Self.overdue.counter(factory: factory)
        self.stuck = Self.stuck.gauge(factory: factory)
        self.replacedThreads = Self.replacedThreads.counter(factory: factory)
        self.malformed = Self.malformed.counter(factory: factory)
        self.slowRequests = Self.slowRequests.counter(factory: factory)
        self.stalls = Self.stalls.counter(factory: factory)
        self.disconnects = Self.disconnects.counter(factory: factory)
        self.refusedConnections = Self.refusedConnections.counter(factory: factory)
    }

    func answered(_ status: Int) {
        let index = status / 100 - 2
        if self.answers.indices.contains(index) { self.answers[index].increment() }
    }

    // MARK: declarations

    private static let connections = Metric(
        "carillon_workers_connections",
        help: "Connections open now; near workers.connections somebody holds them without asking anything.")
    private static let busy = Metric(
        "carillon_workers_busy_threads",
        help: "Threads that run a request; always at workers.threads means that more threads are needed.")
    private static let queued = Metric(
        "carillon_workers_queued_requests", help: "Requests that wait for a thread.")
    private static let answers = Metric(
        "carillon_workers_answers_total", help: "Answers, by the hundreds of their status.")
    private static let rejected = Metric(
        "carillon_workers_rejected_total",
        help: "Requests answered 503 because every thread was busy and the queue full, or the wait too long.")
    private static let overdue = Metric(
        "carillon_workers_overdue_total",
        help: "Requests over their time limit, answered 504; each took a thread away.")
    private static let stuck = Metric(
        "carillon_workers_stuck_threads", help: "Threads over their time that have not come back.")
    private static let replacedThreads = Metric(
        "carillon_workers_replaced_threads_total", help: "Threads started in place of stuck ones.")
    private static let malformed = Metric(
        "carillon_workers_malformed_requests_total", help: "Requests that were not HTTP, or beyond a limit.")
    private static let slowRequests = Metric(
        "carillon_workers_slow_requests_total", help: "Requests that took too long to arrive.")
    private static let stalls = Metric(
        "carillon_workers_stalled_answers_total", help: "Connections cut because the visitor stopped reading.")
    private static let disconnects = Metric(
        "carillon_workers_disconnects_total", help: "Visitors that left before their answer was whole.")
    private static let refusedConnections = Metric(
        "carillon_workers_refused_connections_total", help: "Connections refused because too many were open.")
}
