package import CoreMetrics
import Synchronization

/// A metric, declared once: its name, and one sentence on what its rise means.
package struct Metric: Sendable, Hashable {
    package let name: String
    package let help: String

    /// - Parameters:
    ///   - name: Prometheus style, `carillon_<part>_<what>_<unit or total>`.
    ///   - help: one sentence.
    package init(_ name: String, help: String) {
        self.name = name
        self.help = help
        MetricHelp.add(self)
    }

    package func counter(_ dimensions: [(String, String)] = [], factory: any MetricsFactory) -> Counter {
        Counter(label: self.name, dimensions: dimensions, factory: factory)
    }

    package func gauge(_ dimensions: [(String, String)] = [], factory: any MetricsFactory) -> Meter {
        Meter(label: self.name, dimensions: dimensions, factory: factory)
    }

    package func timer(_ dimensions: [(String, String)] = [], factory: any MetricsFactory) -> Timer {
        Timer(label: self.name, dimensions: dimensions, preferredDisplayUnit: .seconds, factory: factory)
    }
}

/// What `# HELP` says: the sentences of all metrics that were declared so far.
package enum MetricHelp {
    private static let sentences = Mutex<[String: String]>([:])

    static func add(_ metric: Metric) {
        self.sentences.withLock { $0[metric.name] = metric.help }
    }

    /// The sentence of the metric called `name`.
    package static func sentence(for name: String) -> String? {
        self.sentences.withLock { $0[name] }
    }
}
