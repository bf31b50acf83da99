package import CoreMetrics

/// The metrics of one part, made row by row where its properties are filled, so that each name stands once and beside
/// the sentence on what its rise means.
package struct MetricTable {
    private let prefix: String
    private let factory: any MetricsFactory

    /// - Parameters:
    ///   - prefix: what all names begin with: `carillon_gateway_`.
    ///   - factory: where the metrics go.
    package init(_ prefix: String, factory: any MetricsFactory) {
        self.prefix = prefix
        self.factory = factory
    }

    /// `<prefix><name>`, which goes up and down.
    package func gauge(_ name: String, _ help: String) -> Meter {
        Metric(self.prefix + name, help: help).gauge(factory: self.factory)
    }

    /// The same, one series for each value of a label.
    package func gauge(_ name: String, by label: String, _ value: String, _ help: String) -> Meter {
        Metric(self.prefix + name, help: help).gauge([(label, value)], factory: self.factory)
    }

    /// `<prefix><name>_seconds`, a histogram of times.
    package func timer(_ name: String, _ help: String) -> Timer {
        Metric("\(self.prefix)\(name)_seconds", help: help).timer(factory: self.factory)
    }

    /// `<prefix><name>_total`, which only grows.
    package func counter(_ name: String, _ help: String) -> Counter {
        Metric("\(self.prefix)\(name)_total", help: help).counter(factory: self.factory)
    }

    /// `<prefix><name>_total`, one series for each case of `Key`, labelled by its raw value.
    package func counters<Key: CaseIterable & RawRepresentable & Hashable>(
        _ name: String, by label: String, _ help: String
    ) -> [Key: Counter] where Key.RawValue == String {
        let metric = Metric("\(self.prefix)\(name)_total", help: help)
        return Dictionary(
            uniqueKeysWithValues: Key.allCases.map {
                ($0, metric.counter([(label, $0.rawValue)], factory: self.factory))
            })
    }

    /// `<prefix><name>_total`, one series for each hundred of an HTTP status: `2xx`.
    package func counters(_ name: String, byStatus help: String) -> StatusCounters {
        let metric = Metric("\(self.prefix)\(name)_total", help: help)
        return StatusCounters((1...5).map { metric.counter([("status", "\($0)xx")], factory: self.factory) })
    }
}

/// A counter for each hundred of an HTTP status.
package struct StatusCounters: Sendable {
    /// From the hundreds of 100.
    private let counters: [Counter]

    fileprivate init(_ counters: [Counter]) { self.counters = counters }

    /// Counts one answer; a status that HTTP does not know is passed over.
    package func count(_ status: Int) {
        let index = status / 100 - 1
        if self.counters.indices.contains(index) { self.counters[index].increment() }
    }
}
