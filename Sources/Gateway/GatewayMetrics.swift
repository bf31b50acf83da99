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
    let slowDrops: Counter
    package let feedInterruptions: Counter
    let streamRepairs: Counter
    let lostStreams: Counter
    let bridged: Counter
    let unbridged: Counter
    package let handoffs: Counter
    package let takenOver: Counter
    package let passedOn: Counter
    let failedTakeovers: Counter
    let takeoverMisses: Counter
    let badHandoffs: Counter
    let badRequests: Counter
    let protocolErrors: Counter
    let rateCloses: Counter
    private let drops: [DropReason: Counter]
    private let inboundDrops: [Receiver.DropReason: Counter]
    private let refusals: [Refusal.Reason: Counter]

    package init(factory: any MetricsFactory = MetricsSystem.factory) {
        let table = MetricTable("carillon_gateway_", factory: factory)
        self.connections = table.gauge("connections", "Browsers connected now.")
        self.handshakes = table.counter("handshakes", "Browsers let in; a jump means that many came back at once.")
        self.publications = table.counter(
            "publications", "Messages that arrived from the layer for groups followed here.")
        self.deliveries = table.counter(
            "deliveries", "Writes to browsers; several messages of one loop turn are one write.")
        self.received = table.counter("received_messages", "Messages from browsers.")
        self.slowCloses = table.counter("slow_closes", "Browsers sent away with 3008 because they read too slowly.")
        self.slowDrops = table.counter(
            "slow_drops",
            "Publications that slow readers of a channel did not get, because newer ones took their place.")
        self.feedInterruptions = table.counter(
            "feed_interruptions", "Times the layer was lost; browsers may have missed messages.")
        self.streamRepairs = table.counter(
            "stream_repairs", "Gaps in a channel's publications that were looked up in its history.")
        self.lostStreams = table.counter(
            "lost_streams", "Gaps that could not be closed; the channel's subscribers were told.")
        self.bridged = table.counter(
            "bridged", "Messages of plain groups that this gateway was the first to keep for a channel.")
        self.unbridged = table.counter(
            "unbridged", "Messages of plain groups that could not be kept, so that the channel's subscribers miss them."
        )
        self.handoffs = table.counter("handoffs", "Sockets taken over from a router.")
        self.takenOver = table.counter(
            "taken_over", "Browsers taken over from the gateway that ran before, still connected.")
        self.passedOn = table.counter(
            "passed_on", "Browsers passed on to the gateway that comes after, still connected.")
        self.failedTakeovers = table.counter(
            "failed_takeovers", "Takeovers that did not come about; the old gateway kept its browsers.")
        self.takeoverMisses = table.counter(
            "takeover_misses",
            "Messages that the gateway before delivered and this one never heard: the layer loses some, or is slow.")
        self.badHandoffs = table.counter(
            "bad_handoffs", "Packets from routers that were no hand-off: update router and gateway together.")
        self.badRequests = table.counter("bad_requests", "Requests that were no valid handshake, or for no route.")
        self.protocolErrors = table.counter(
            "protocol_errors", "Connections closed because the browser broke the protocol.")
        self.rateCloses = table.counter("rate_closes", "Connections closed because the browser said too much.")
        self.drops = table.counters(
            "dropped_messages", by: "reason",
            "Layer messages that no browser got, by reason: a rule is missing, or a backend sends something else.")
        self.inboundDrops = table.counters(
            "dropped_browser_messages", by: "reason", "Messages from browsers that the route does not take, by reason.")
        self.refusals = table.counters("refusals", by: "reason", "Browsers not let in, by reason.")
    }

    func dropped(_ reason: DropReason) { self.drops[reason]?.increment() }
    func droppedFromBrowser(_ reason: Receiver.DropReason) { self.inboundDrops[reason]?.increment() }
    func refused(_ reason: Refusal.Reason) { self.refusals[reason]?.increment() }
}
