import Logging
import NIOCore
import Synchronization
import Telemetry

/// What all event loops know of one upstream: how busy it is, and whether it is avoided.
final class UpstreamServer: Sendable {
    let address: UpstreamAddress
    private let backOff: UInt64
    private let maxBackOff: UInt64
    private let log: BoundedLog
    private let outstandingCount = Atomic<Int>(0)
    private let failuresInRow = Atomic<Int>(0)
    /// Uptime in nanoseconds; 0 while it is well.
    private let avoidedUntil = Atomic<UInt64>(0)

    init(_ address: UpstreamAddress, configuration: UpstreamConfiguration, log: BoundedLog) {
        self.log = log
        self.address = address
        self.backOff = UInt64(clamping: configuration.backOff.nanoseconds)
        self.maxBackOff = UInt64(clamping: configuration.maxBackOff.nanoseconds)
    }

    /// Requests under way, and connections being made for one.
    var outstanding: Int { self.outstandingCount.load(ordering: .relaxed) }

    func began() { self.outstandingCount.wrappingAdd(1, ordering: .relaxed) }

    func ended() { self.outstandingCount.wrappingSubtract(1, ordering: .relaxed) }

    var isAvoided: Bool {
        let until = self.avoidedUntil.load(ordering: .relaxed)
        return until != 0 && until > NIODeadline.now().uptimeNanoseconds
    }

    /// It did not answer: leave it alone for a while, twice as long each time.
    func failed(_ why: String) {
        let failures = self.failuresInRow.wrappingAdd(1, ordering: .relaxed).newValue
        let time = min(self.maxBackOff, self.backOff << UInt64(min(max(failures - 1, 0), 16)))
        self.avoidedUntil.store(NIODeadline.now().uptimeNanoseconds + time, ordering: .relaxed)
        guard failures == 1 else { return }
        self.log.log(
            .warning, "Upstream fails", metadata: [LogKey.upstream: "\(self.address)", LogKey.error: "\(why)"])
    }

    func answered() {
        guard self.failuresInRow.load(ordering: .relaxed) != 0 else { return }
        self.failuresInRow.store(0, ordering: .relaxed)
        self.avoidedUntil.store(0, ordering: .relaxed)
        self.log.log(.info, "Upstream answers again", metadata: [LogKey.upstream: "\(self.address)"])
    }
}
