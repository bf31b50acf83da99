import ChannelLayer
import Logging
import Metrics
import Telemetry

/// Counts what a layer drops, and logs it at a bounded rate, so that nothing is lost in silence.
struct LayerDropLog: LayerObserver {
    private let counters: [LayerDrop: Counter]
    private let log: BoundedLog

    init(logger: Logger, factory: any MetricsFactory) {
        self.counters = MetricTable("carillon_layer_", factory: factory).counters(
            "dropped_messages", by: "reason",
            "Messages that the layer dropped, by reason: a reader is too slow or gone, or a sender sends something else."
        )
        self.log = BoundedLog(logger)
    }

    func dropped(_ reason: LayerDrop, name: String, count: Int) {
        self.counters[reason]?.increment(by: Int64(clamping: count))
        self.log.log(
            .warning, "The layer dropped messages",
            metadata: [LogKey.channel: "\(name)", LogKey.reason: "\(reason.rawValue)", LogKey.count: "\(count)"])
    }
}
