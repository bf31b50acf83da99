package import CoreMetrics
import Telemetry

/// What the router counts. Each name's sentence says what its rise means.
///
/// A class, because copying a value with this many references costs two atomic operations for each.
package final class RouterMetrics: Sendable {
    private static let connectionsTotal = Metric(
        "carillon_router_connections_total", help: "Connections accepted from browsers.")
    private static let handedOffTotal = Metric(
        "carillon_router_handed_off_total", help: "Connections whose socket was passed to a gateway.")
    private static let handoffFailuresTotal = Metric(
        "carillon_router_handoff_failures_total",
        help: "Connections for the gateways that no gateway took; they were tunnelled, or answered with 503.")
    private static let handoffWaitsTotal = Metric(
        "carillon_router_handoff_waits_total",
        help: "Connections for the gateways that had to wait, because no gateway had room: too many came at once.")
    private static let handoffsWaitingGauge = Metric(
        "carillon_router_handoffs_waiting",
        help: "Connections that wait now for a gateway to have room. For long, the gateways stand still.")
    private static let silentTotal = Metric(
        "carillon_router_silent_total",
        help: "Connections closed because their first bytes did not come in time.")
    private static let crowdedOutTotal = Metric(
        "carillon_router_crowded_out_total",
        help: "Silent connections closed to make room for newer ones (router.undecided_limit).")
    private static let acceptPausesTotal = Metric(
        "carillon_router_accept_pauses_total",
        help: "Pauses in accepting because no descriptor was left; raise the process' file limit.")
    private static let undecidedGauge = Metric(
        "carillon_router_undecided", help: "Connections that have not said enough yet to be given away.")
    private static let proxiedGauge = Metric(
        "carillon_router_proxied_connections", help: "Browsers' connections the proxy holds now.")
    private static let tunnelsGauge = Metric(
        "carillon_router_tunnels", help: "Tunnels open now: WebSockets that are not handed over.")
    private static let requestsTotal = Metric(
        "carillon_router_requests_total", help: "Requests answered, by the first digit of the status.")
    private static let refusedTotal = Metric(
        "carillon_router_refused_total", help: "Requests that are no HTTP the router takes; the connection was closed.")
    private static let upstreamFailuresTotal = Metric(
        "carillon_router_upstream_failures_total",
        help: "Requests an upstream did not answer, or not to the end, by cause.")
    private static let repeatedTotal = Metric(
        "carillon_router_repeated_total",
        help: "Requests sent again, because the upstream ended the connection without an answer.")
    private static let abortedTotal = Metric(
        "carillon_router_aborted_total", help: "Requests whose browser left, or stalled for too long, before their end."
    )

    private static let accessLogLostTotal = Metric(
        "carillon_router_access_log_lost_total",
        help: "Lines of the access log that could not be written: a full or slow disk.")

    let connections: Counter
    let handedOff: Counter
    let handoffFailures: Counter
    let handoffWaits: Counter
    let handoffsWaiting: Meter
    let silent: Counter
    let crowdedOut: Counter
    let acceptPauses: Counter
    let undecided: Meter
    let proxied: Meter
    let tunnels: Meter
    let refused: Counter
    let repeated: Counter
    let aborted: Counter
    private static let handshakesFailedTotal = Metric(
        "carillon_router_tls_handshakes_failed_total",
        help:
            "Connections that ended before TLS was agreed on: scanners, old browsers, certificates that are not believed."
    )

    let handshakesFailed: Counter
    let accessLogLost: Counter
    private let requests: [Counter]
    private let factory: any MetricsFactory

    /// - Parameter factory: where the metrics go; by default where the whole process' go.
    package init(factory: any MetricsFactory = MetricsSystem.factory) {
        self.factory = factory
        self.connections = Self.connectionsTotal.counter(factory: factory)
        self.handedOff = Self.handedOffTotal.counter(factory: factory)
        self.handoffFailures = Self.handoffFailuresTotal.counter(factory: factory)
        self.handoffWaits = Self.handoffWaitsTotal.counter(factory: factory)
        self.handoffsWaiting = Self.handoffsWaitingGauge.gauge(factory: factory)
        self.silent = Self.silentTotal.counter(factory: factory)
        self.crowdedOut = Self.crowdedOutTotal.counter(factory: factory)
        self.acceptPauses = Self.acceptPausesTotal.counter(factory: factory)
        self.undecided = Self.undecidedGauge.gauge(factory: factory)
        self.proxied = Self.proxiedGauge.gauge(factory: factory)
        self.tunnels = Self.tunnelsGauge.gauge(factory: factory)
        self.refused = Self.refusedTotal.counter(factory: factory)
        self.repeated = Self.repeatedTotal.counter(factory: factory)
        self.aborted = Self.abortedTotal.counter(factory: factory)
        self.handshakesFailed = Self.handshakesFailedTotal.counter(factory: factory)
        self.accessLogLost = Self.accessLogLostTotal.counter(factory: factory)
        self.requests = (1...5).map { Self.requestsTotal.counter([("status", "\($0)xx")], factory: factory) }
    }

    /// One request was answered with `status`.
    func answered(_ status: Int) {
        let index = status / 100 - 1
        if self.requests.indices.contains(index) { self.requests[index].increment() }
    }

    /// One request found no (whole) answer. Rare, so the counter is looked up each time.
    func upstreamFailed(_ cause: String) {
        Self.upstreamFailuresTotal.counter([("cause", cause)], factory: self.factory).increment()
    }
}
