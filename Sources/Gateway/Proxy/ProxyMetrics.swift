package import Metrics
import Telemetry

/// What the event proxy counts.
package struct ProxyMetrics: Sendable {
    let questions: Counter
    let requests: Counter
    /// From when a question is there until it is sent.
    let waits: Timer
    private let failures: [ProxyFailure: Counter]
    private let table: MetricTable

    package init(factory: any MetricsFactory = MetricsSystem.factory) {
        let table = MetricTable("carillon_proxy_", factory: factory)
        self.table = table
        self.questions = table.counter("questions", "Questions about browsers' events that had to be answered.")
        self.requests = table.counter(
            "requests", "Requests to the application; fewer than questions where they are batched, equal, or known.")
        self.waits = table.timer(
            "wait", "How long questions waited before they were sent: for others of their batch, and for their turn.")
        self.failures = table.counters(
            "failures", by: "reason", "Questions without an answer, by reason: browsers try again a little later.")
    }

    func failed(_ failure: ProxyFailure, by count: Int) { self.failures[failure]?.increment(by: count) }

    /// - Parameter endpoint: the address that is asked, which is what tells its gauges from others'.
    func gauges(of endpoint: String) -> ProxyGauges {
        func gauge(_ name: String, _ help: String) -> Meter { self.table.gauge(name, by: "endpoint", endpoint, help) }
        return ProxyGauges(
            waiting: gauge("waiting", "Questions that wait now; the browsers that ask wait with them."),
            running: gauge("running", "Requests to the application under way now."),
            concurrency: gauge(
                "concurrency",
                "Requests that may be under way at this moment: it falls when the application gets slower."))
    }
}

/// What one endpoint is at now. Those with the same address are added up.
struct ProxyGauges: Sendable {
    private let waiting: Meter
    private let running: Meter
    private let concurrency: Meter
    private var shown = ProxyLoad()

    fileprivate init(waiting: Meter, running: Meter, concurrency: Meter) {
        self.waiting = waiting
        self.running = running
        self.concurrency = concurrency
    }

    mutating func show(_ load: ProxyLoad) {
        func move(_ meter: Meter, _ value: KeyPath<ProxyLoad, Int>) {
            let step = load[keyPath: value] - self.shown[keyPath: value]
            if step != 0 { meter.increment(by: Double(step)) }
        }
        move(self.waiting, \.waiting)
        move(self.running, \.running)
        move(self.concurrency, \.concurrency)
        self.shown = load
    }
}

/// How much there is to do at one endpoint.
struct ProxyLoad: Equatable, Sendable {
    /// Questions that wait.
    var waiting = 0
    /// Requests under way.
    var running = 0
    /// Requests that may be under way.
    var concurrency = 0
}
