import Metrics
import Telemetry

/// What the publish API counts.
struct PublishMetrics: Sendable {
    let publications: Counter
    let denied: Counter
    let errors: Counter

    init(factory: any MetricsFactory = MetricsSystem.factory) {
        self.publications = Self.publications.counter(factory: factory)
        self.denied = Self.denied.counter(factory: factory)
        self.errors = Self.errors.counter(factory: factory)
    }

    private static let publications = Metric(
        "carillon_api_publications_total",
        help: "Publications the layer took; a broadcast counts once for each channel.")
    private static let denied = Metric(
        "carillon_api_denied_total",
        help: "Requests without a right key: somebody is guessing, or a backend has an old one.")
    private static let errors = Metric("carillon_api_errors_total", help: "Requests answered with an error.")
}
