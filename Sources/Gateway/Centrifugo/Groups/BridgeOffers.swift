import ChannelLayer
import NIOCore
import Telemetry

/// Offers the store what was heard, in the order it was heard in, until it takes it or the time for it is over.
///
/// Some are on their way at once. When one is not taken, those behind it were not either, as a rule: all that are on their way
/// are waited for, and then offered again in their order. What was taken without an answer is not kept twice, since it has the
/// number that it had.
///
/// `@unchecked Sendable`: everything but the `let`s is touched on `home` only.
final class BridgeOffers: @unchecked Sendable {
    private struct Offer {
        let message: LayerMessage
        let group: GroupName
        let options: HistoryOptions
        let number: UInt64
        /// When others may have forgotten it.
        let end: NIODeadline
    }

    /// On their way at once, and waiting.
    private static let mostUnderWay = 128
    private static let mostWaiting = 10_000

    private let store: any GroupStore
    private let home: any EventLoop
    private let window: Int
    private let metrics: GatewayMetrics
    private let log: BoundedLog
    private let name = String(UInt64.random(in: .min ... .max), radix: 36)
    private let backoff = Backoff(first: .milliseconds(100), most: .seconds(2))

    private var lastNumber: UInt64 = 0
    private var waiting = CircularBuffer<Offer>()
    private var underWay = 0
    private var failed: [Offer] = []
    private var failures = 0
    /// Until what was not taken may be offered again.
    private var pauses = false

    init(
        _ store: any GroupStore, home: any EventLoop, window: Int, metrics: GatewayMetrics, log: BoundedLog
    ) {
        self.store = store
        self.home = home
        self.window = window
        self.metrics = metrics
        self.log = log
    }

    /// From any thread; the order of the calls is that of the offers.
    ///
    /// - Parameter content: what the message is known by in all gateways.
    func offer(
        _ message: LayerMessage, to target: BridgeTarget, keeping options: HistoryOptions, as content: String
    ) {
        var options = options
        options.idempotencyKey = content
        options.idempotencyTimeToLive = .seconds(self.window)
        options.audience = target.audience
        let end = NIODeadline.now() + .seconds(Int64(self.window))
        self.home.execute { [options] in
            guard self.waiting.count < Self.mostWaiting else {
                return self.drop(target.group, LayerError(.unavailable, "too many wait to be kept"))
            }
            self.lastNumber &+= 1
            var options = options
            options.witness = Witness(name: self.name, number: self.lastNumber)
            self.waiting.append(
                Offer(
                    message: message, group: target.group, options: options, number: self.lastNumber, end: end))
            self.next()
        }
    }

    private func next() {
        while !self.pauses, self.failed.isEmpty, self.underWay < Self.mostUnderWay, let offer = self.waiting.popFirst()
        {
            self.underWay &+= 1
            self.store.publish(offer.message, toGroup: offer.group, keeping: offer.options) { result in
                self.home.execute { self.answered(offer, result) }
            }
        }
    }

    private func answered(_ offer: Offer, _ result: Result<PublishResult, LayerError>) {
        self.underWay &-= 1
        switch result {
        case .success(let published):
            self.failures = 0
            if !published.isSuppressed { self.metrics.bridged.increment() }
        case .failure(let error) where error.code == .unavailable && NIODeadline.now() < offer.end:
            self.failed.append(offer)
        case .failure(let error): self.drop(offer.group, error)
        }
        guard !self.failed.isEmpty else { return self.next() }
        if self.underWay == 0 { self.tryAgain() }
    }

    private func tryAgain() {
        self.failures += 1
        self.pauses = true
        let pause = self.backoff.delay(after: self.failures, random: .random(in: 0.5...1))
        self.home.assumeIsolated().scheduleTask(in: TimeAmount(pause)) {
            self.pauses = false
            for offer in self.failed.sorted(by: { $0.number > $1.number }) { self.waiting.prepend(offer) }
            self.failed = []
            self.next()
        }
    }

    private func drop(_ group: GroupName, _ error: LayerError) {
        self.metrics.unbridged.increment()
        self.log.log(
            .warning, "A group's message could not be kept for its channel, which does not hear it",
            metadata: [LogKey.group: "\(group)", LogKey.error: "\(error)"])
    }
}
