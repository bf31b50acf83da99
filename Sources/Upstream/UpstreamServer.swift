import Logging
import NIOCore
import Synchronization
import Telemetry

/// What all event loops know of one upstream: how busy it is, and whether it is avoided.
final class UpstreamServer: Sendable {
    let address: UpstreamAddress
    private let backOff: UInt64
    private let maxBackOff: UInt64
    private let slowStart: UInt64
    private let log: BoundedLog
    /// What FastCGI applications say on their standard error.
    private let errors: BoundedLog
    private let outstandingCount = Atomic<Int>(0)
    private let failuresInRow = Atomic<Int>(0)
    /// Uptime in nanoseconds; 0 while it is well.
    private let avoidedUntil = Atomic<UInt64>(0)
    /// What health checks say.
    private let isWell = Atomic<Bool>(true)
    /// Uptime in nanoseconds when it came back; 0 when that is long ago.
    private let backSince = Atomic<UInt64>(0)

    init(_ address: UpstreamAddress, configuration: UpstreamConfiguration, log: BoundedLog) {
        self.log = log
        self.errors = log.atMost(linesPerSecond: 100)
        self.address = address
        self.backOff = UInt64(clamping: configuration.backOff.nanoseconds)
        self.maxBackOff = UInt64(clamping: configuration.maxBackOff.nanoseconds)
        self.slowStart = UInt64(clamping: configuration.slowStart.nanoseconds)
    }

    /// Requests under way, and connections being made for one.
    var outstanding: Int { self.outstandingCount.load(ordering: .relaxed) }

    func began() { self.outstandingCount.wrappingAdd(1, ordering: .relaxed) }

    func ended() { self.outstandingCount.wrappingSubtract(1, ordering: .relaxed) }

    /// How busy it is for the one who chooses: after it has come back, each request counts for more, at first for twenty.
    var load: Int {
        let outstanding = self.outstanding
        let since = self.backSince.load(ordering: .relaxed)
        guard since != 0 else { return outstanding &* Self.wholeShare }
        let passed = NIODeadline.now().uptimeNanoseconds &- since
        guard passed < self.slowStart else {
            self.backSince.store(0, ordering: .relaxed)
            return outstanding &* Self.wholeShare
        }
        let share = max(1, Int(passed / max(1, self.slowStart / UInt64(Self.wholeShare))))
        return (outstanding &+ 1) &* Self.wholeShare &* Self.wholeShare / share
    }

    private static let wholeShare = 20

    var isAvoided: Bool {
        guard self.isWell.load(ordering: .relaxed) else { return true }
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
        self.beginSlowly()
        self.log.log(.info, "Upstream answers again", metadata: [LogKey.upstream: "\(self.address)"])
    }

    /// What a row of health checks has come to.
    func checked(isWell: Bool, _ what: String) {
        self.isWell.store(isWell, ordering: .relaxed)
        if isWell { self.beginSlowly() }
        self.log.log(
            isWell ? .info : .warning, isWell ? "Upstream is well again" : "Upstream fails its health checks",
            metadata: [LogKey.upstream: "\(self.address)", LogKey.reason: "\(what)"])
    }

    /// Bytes of one message of an application that are shown.
    private static let shownBytes = 4_096

    /// What an application wrote to its standard error.
    func said(_ bytes: ByteBuffer) {
        for line in bytes.readableBytesView.prefix(Self.shownBytes).split(whereSeparator: { $0 == 0x0A || $0 == 0x0D })
        {
            self.errors.log(
                .warning, "A FastCGI application says",
                metadata: [
                    LogKey.upstream: "\(self.address)", LogKey.error: "\(String(decoding: line, as: UTF8.self))",
                ])
        }
    }

    private func beginSlowly() {
        if self.slowStart > 0 { self.backSince.store(NIODeadline.now().uptimeNanoseconds, ordering: .relaxed) }
    }
}
