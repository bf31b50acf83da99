package import Metrics
import Telemetry

/// What is counted of lifecycle events.
package struct LifecycleMetrics: Sendable {
    let events: Counter
    let waiting: Meter
    let failures: Counter
    let dropped: Counter
    let forgotten: Counter

    package init(factory: any MetricsFactory = MetricsSystem.factory) {
        let table = MetricTable("carillon_lifecycle_", factory: factory)
        self.events = table.counter("events", "Events that the application has taken from this gateway.")
        self.waiting = table.gauge("waiting", "Events that wait for the application, at the gateway that tells it.")
        self.failures = table.counter(
            "failures", "Requests that the application did not take; they are repeated.")
        self.dropped = table.counter(
            "dropped",
            "Events that the application never gets, because more waited than may; it is told their numbers.")
        self.forgotten = table.counter(
            "forgotten",
            "Comings and goings that were not written down, because the layer took nothing for too long; what there is then is told anew."
        )
    }
}
