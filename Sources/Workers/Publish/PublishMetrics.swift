import Metrics
import Telemetry

/// What the publish API counts.
struct PublishMetrics: Sendable {
    let publications: Counter
    let denied: Counter
    let errors: Counter

    init(factory: any MetricsFactory = MetricsSystem.factory) {
        let table = MetricTable("carillon_api_", factory: factory)
        self.publications = table.counter(
            "publications", "Publications the layer took; a broadcast counts once for each channel.")
        self.denied = table.counter(
            "denied", "Requests without a right key: somebody is guessing, or a backend has an old one.")
        self.errors = table.counter("errors", "Requests answered with an error.")
    }
}
