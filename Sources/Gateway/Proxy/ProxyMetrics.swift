package import Metrics
import Telemetry

/// What the event proxy counts.
package struct ProxyMetrics: Sendable {
    let questions: Counter
    let requests: Counter
    private let failures: [ProxyFailure: Counter]

    package init(factory: any MetricsFactory = MetricsSystem.factory) {
        let table = MetricTable("carillon_proxy_", factory: factory)
        self.questions = table.counter("questions", "Questions about browsers' events that had to be answered.")
        self.requests = table.counter(
            "requests", "Requests to the application; fewer than questions where they are batched, equal, or known.")
        self.failures = table.counters(
            "failures", by: "reason", "Questions without an answer, by reason: browsers try again a little later.")
    }

    func failed(_ failure: ProxyFailure, by count: Int) { self.failures[failure]?.increment(by: count) }
}
