package import Metrics
import Telemetry

/// What a gateway counts.
package struct GatewayMetrics: Sendable {
    package let connections: Meter
    package let handshakes: Counter
    package let publications: Counter
    package let deliveries: Counter
    package let received: Counter
    package let slowCloses: Counter
    package let feedInterruptions: Counter
    package let handoffs: Counter
    private let drops: [DropReason: Counter]
    private let inboundDrops: [Receiver.DropReason: Counter]
    private let refusals: [Refusal.Reason: Counter]
    private let badRequests: Counter
    private let protocolErrors: Counter
    private let rateCloses: Counter

    package init(factory: any MetricsFactory = MetricsSystem.factory) {
        self.connections = Metric(
            "carillon_gateway_connections", help: "Browsers connected now."
        ).gauge(factory: factory)
        self.handshakes = Metric(
            "carillon_gateway_handshakes_total", help: "Browsers let in; a jump means that many came back at once."
        ).counter(factory: factory)
        self.publications = Metric(
            "carillon_gateway_publications_total",
            help: "Messages that arrived from the layer for groups followed here."
        ).counter(factory: factory)
        self.deliveries = Metric(
            "carillon_gateway_deliveries_total",
            help: "Writes to browsers; several messages of one loop turn are one write."
        ).counter(factory: factory)
        self.received = Metric(
            "carillon_gateway_received_messages_total", help: "Messages from browsers."
        ).counter(factory: factory)
        self.slowCloses = Metric(
            "carillon_gateway_slow_closes_total", help: "Browsers sent away with 3008 because they read too slowly."
        ).counter(factory: factory)
        self.feedInterruptions = Metric(
            "carillon_gateway_feed_interruptions_total",
            help: "Times the layer was lost; browsers may have missed messages."
        ).counter(factory: factory)
        self.handoffs = Metric(
            "carillon_gateway_handoffs_total", help: "Sockets taken over from a router."
        ).counter(factory: factory)
        let drops = Metric(
            "carillon_gateway_dropped_messages_total",
            help: "Layer messages that no browser got, by reason: a rule is missing, or a backend sends something else."
        )
        self.drops = Dictionary(
            uniqueKeysWithValues: DropReason.allCases.map {
                ($0, drops.counter([("reason", $0.rawValue)], factory: factory))
            })
        let inboundDrops = Metric(
            "carillon_gateway_dropped_browser_messages_total",
            help: "Messages from browsers that the route does not take, by reason.")
        self.inboundDrops = Dictionary(
            uniqueKeysWithValues: Receiver.DropReason.allCases.map {
                ($0, inboundDrops.counter([("reason", $0.rawValue)], factory: factory))
            })
        let refusals = Metric(
            "carillon_gateway_refusals_total", help: "Browsers not let in, by reason.")
        self.refusals = Dictionary(
            uniqueKeysWithValues: Refusal.Reason.allCases.map {
                ($0, refusals.counter([("reason", $0.rawValue)], factory: factory))
            })
        self.badRequests = Metric(
            "carillon_gateway_bad_requests_total", help: "Requests that were no valid handshake, or for no route."
        ).counter(factory: factory)
        self.protocolErrors = Metric(
            "carillon_gateway_protocol_errors_total", help: "Connections closed because the browser broke the protocol."
        ).counter(factory: factory)
        self.rateCloses = Metric(
            "carillon_gateway_rate_closes_total", help: "Connections closed because the browser said too much."
        ).counter(factory: factory)
    }

    func dropped(_ reason: DropReason) { self.drops[reason]?.increment() }
    func refused(_ reason: Refusal.Reason) { self.refusals[reason]?.increment() }
    func badRequest() { self.badRequests.increment() }
    func protocolError() { self.protocolErrors.increment() }
    func saidTooMuch() { self.rateCloses.increment() }
    func droppedFromBrowser(_ reason: Receiver.DropReason) { self.inboundDrops[reason]?.increment() }
}
