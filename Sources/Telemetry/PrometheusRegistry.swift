package import Metrics
import Synchronization

/// Keeps metrics and writes them as Prometheus reads them. A metric asked for twice is one metric.
///
/// The lock is taken when metrics are made and when the page is written, never when they change.
package final class PrometheusRegistry: MetricsFactory {
    private enum Kind: String { case counter, gauge, histogram }

    private struct Family {
        let kind: Kind
        /// By their labels as they stand in a line.
        var series: [String: any PrometheusSeries] = [:]
    }

    private let families = Mutex<[String: Family]>([:])

    package init() {}

    /// The page `/metrics`.
    package func render() -> String {
        let families = self.families.withLock { $0 }
        var text = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            if let sentence = MetricHelp.sentence(for: name) {
                text += "# HELP \(name) \(PrometheusText.help(sentence))\n"
            }
            text += "# TYPE \(name) \(family.kind.rawValue)\n"
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                series.write(name: name, labels: labels, into: &text)
            }
        }
        return text
    }

    // MARK: MetricsFactory

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        self.series(label, dimensions, .counter) { PrometheusCounter() }
    }

    package func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        self.series(label, dimensions, .counter) { PrometheusFloatingPointCounter() }
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        self.series(label, dimensions, .gauge) { PrometheusGauge() }
    }

    package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        guard aggregate else { return self.series(label, dimensions, .gauge) { PrometheusGauge() } }
        return self.series(label, dimensions, .histogram) { PrometheusHistogram(bounds: PrometheusHistogram.sizes) }
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        self.series(label, dimensions, .histogram) { PrometheusHistogram(bounds: PrometheusHistogram.seconds) }
    }

    package func destroyCounter(_ handler: any CounterHandler) { self.forget(handler) }
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { self.forget(handler) }
    package func destroyMeter(_ handler: any MeterHandler) { self.forget(handler) }
    package func destroyRecorder(_ handler: any RecorderHandler) { self.forget(handler) }
    package func destroyTimer(_ handler: any TimerHandler) { self.forget(handler) }

    /// A name has one kind. What is declared again as another is counted on its own and never shown: a page with two
    /// kinds under one name could not be read at all.
    private func series<Series: PrometheusSeries>(
        _ label: String, _ dimensions: [(String, String)], _ kind: Kind, make: () -> Series
    ) -> Series {
        let name = PrometheusText.name(label)
        let labels = PrometheusText.labels(dimensions)
        return self.families.withLock { families in
            var family = families[name] ?? Family(kind: kind)
            if let known = family.series[labels] as? Series, family.kind == kind { return known }
            let series = make()
            guard family.kind == kind, family.series[labels] == nil else { return series }
            family.series[labels] = series
            families[name] = family
            return series
        }
    }

    private func forget(_ handler: AnyObject) {
        self.families.withLock { families in
            for (name, var family) in families {
                guard let labels = family.series.first(where: { $0.value === handler })?.key else { continue }
                family.series[labels] = nil
                families[name] = family.series.isEmpty ? nil : family
                return
            }
        }
    }
}
