import Metrics
import Synchronization

/// One line of `/metrics`, or the lines of one histogram. Changed from any thread without a lock.
protocol PrometheusSeries: AnyObject, Sendable {
    /// Writes the lines.
    ///
    /// - Parameter labels: `a="1",b="2"`, or nothing.
    func write(name: String, labels: String, into text: inout String)
}

/// A number that only grows.
final class PrometheusCounter: CounterHandler, PrometheusSeries {
    private let value = Atomic<Int64>(0)

    func increment(by amount: Int64) { self.value.wrappingAdd(amount, ordering: .relaxed) }
    func reset() { self.value.store(0, ordering: .relaxed) }

    func write(name: String, labels: String, into text: inout String) {
        text += PrometheusText.line(name, labels, "\(self.value.load(ordering: .relaxed))")
    }
}

/// A number that only grows, with a fraction.
final class PrometheusFloatingPointCounter: FloatingPointCounterHandler, PrometheusSeries {
    private let value = AtomicDouble()

    func increment(by amount: Double) { self.value.add(amount) }
    func reset() { self.value.store(0) }

    func write(name: String, labels: String, into text: inout String) {
        text += PrometheusText.line(name, labels, PrometheusText.number(self.value.load()))
    }
}

/// A number that goes up and down; also what is recorded without being added up.
final class PrometheusGauge: MeterHandler, RecorderHandler, PrometheusSeries {
    private let value = AtomicDouble()

    func set(_ value: Int64) { self.value.store(Double(value)) }
    func set(_ value: Double) { self.value.store(value) }
    func increment(by amount: Double) { self.value.add(amount) }
    func decrement(by amount: Double) { self.value.add(-amount) }
    func record(_ value: Int64) { self.value.store(Double(value)) }
    func record(_ value: Double) { self.value.store(value) }

    func write(name: String, labels: String, into text: inout String) {
        text += PrometheusText.line(name, labels, PrometheusText.number(self.value.load()))
    }
}

/// How often values fell under each of some bounds.
final class PrometheusHistogram: TimerHandler, RecorderHandler, PrometheusSeries {
    /// Seconds: from half a millisecond, a delivery, to a minute, a slow request.
    static let seconds: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]
    /// Powers of four: sizes and counts.
    static let sizes: [Double] = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576]

    private let bounds: [Double]
    /// One for each bound and one for what is above them all.
    private let counts: [AtomicCount]
    private let sum = AtomicDouble()

    init(bounds: [Double]) {
        self.bounds = bounds
        self.counts = (0...bounds.count).map { _ in AtomicCount() }
    }

    func recordNanoseconds(_ duration: Int64) { self.record(Double(duration) / 1_000_000_000) }
    func record(_ value: Int64) { self.record(Double(value)) }

    func record(_ value: Double) {
        guard !value.isNaN else { return }
        let bucket = self.bounds.firstIndex { value <= $0 } ?? self.bounds.count
        self.counts[bucket].value.wrappingAdd(1, ordering: .relaxed)
        self.sum.add(value)
    }

    func write(name: String, labels: String, into text: inout String) {
        let separator = labels.isEmpty ? "" : ","
        var total = 0
        for (index, count) in self.counts.enumerated() {
            total &+= count.value.load(ordering: .relaxed)
            let bound = index < self.bounds.count ? PrometheusText.number(self.bounds[index]) : "+Inf"
            text += PrometheusText.line("\(name)_bucket", "\(labels)\(separator)le=\"\(bound)\"", "\(total)")
        }
        text += PrometheusText.line("\(name)_sum", labels, PrometheusText.number(self.sum.load()))
        text += PrometheusText.line("\(name)_count", labels, "\(total)")
    }
}

/// An atomic that can stand in an array.
final class AtomicCount: Sendable {
    let value = Atomic<Int>(0)
}

/// A double that many threads change.
final class AtomicDouble: Sendable {
    private let bits = Atomic<UInt64>(0)

    func load() -> Double { Double(bitPattern: self.bits.load(ordering: .relaxed)) }
    func store(_ value: Double) { self.bits.store(value.bitPattern, ordering: .relaxed) }

    func add(_ amount: Double) {
        var seen = self.bits.load(ordering: .relaxed)
        while true {
            let next = (Double(bitPattern: seen) + amount).bitPattern
            let (exchanged, original) = self.bits.weakCompareExchange(expected: seen, desired: next, ordering: .relaxed)
            if exchanged { return }
            seen = original
        }
    }
}
