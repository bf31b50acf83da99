import HTTP1
import NIOCore
import Testing

@testable import Gateway

@Suite struct ConnectionLimitsTests {
    let home = IPAddress("192.0.2.1")
    let office = IPAddress("192.0.2.2")

    func reason(_ body: () throws -> Void) -> Refusal.Reason? {
        do { try body() } catch { return (error as? Refusal)?.reason }
        return nil
    }

    @Test func anAddressThatHasEnoughIsRefusedUntilOneCloses() {
        var counts = ConnectionCounts(limits: ConnectionLimits(perAddress: 2))
        #expect(self.reason { try counts.admit(self.home) } == nil)
        #expect(self.reason { try counts.admit(self.home) } == nil)
        #expect(self.reason { try counts.admit(self.home) } == .addressLimit)
        #expect(self.reason { try counts.admit(self.office) } == nil)
        #expect(counts.total == 3)
        counts.release(self.home, user: nil)
        #expect(self.reason { try counts.admit(self.home) } == nil)
    }

    @Test func aFullGatewayRefusesEverybody() {
        var counts = ConnectionCounts(limits: ConnectionLimits(total: 1))
        #expect(self.reason { try counts.admit(nil) } == nil)
        #expect(self.reason { try counts.admit(self.home) } == .totalLimit)
        counts.release(nil, user: nil)
        #expect(self.reason { try counts.admit(self.home) } == nil)
    }

    @Test func aUserThatHasEnoughIsRefused() {
        var counts = ConnectionCounts(limits: ConnectionLimits(perUser: 1))
        #expect(self.reason { try counts.admit(user: "7") } == nil)
        #expect(self.reason { try counts.admit(user: "7") } == .userLimit)
        #expect(self.reason { try counts.admit(user: "8") } == nil)
        counts.release(nil, user: "7")
        #expect(self.reason { try counts.admit(user: "7") } == nil)
    }

    @Test func oneCustomersV6AddressesAreOne() throws {
        var counts = ConnectionCounts(limits: ConnectionLimits(perAddress: 1))
        try counts.admit(IPAddress("2001:db8:0:1::1"))
        #expect(self.reason { try counts.admit(IPAddress("2001:db8:0:1:ffff::2")) } == .addressLimit)
        #expect(self.reason { try counts.admit(IPAddress("2001:db8:0:2::1")) } == nil)
    }

    @Test func releasingTooOftenHarmsNothing() {
        var counts = ConnectionCounts(limits: ConnectionLimits(total: 1))
        counts.release(self.home, user: "7")
        #expect(counts.total == 0)
    }
}

@Suite struct RateLimitTests {
    func at(_ milliseconds: UInt64) -> NIODeadline { .uptimeNanoseconds(1_000_000_000_000 + milliseconds * 1_000_000) }

    @Test func aBurstPassesAndThenTheRateHolds() {
        let limit = RateLimit(perSecond: 10, burst: 3)
        var meter = RateMeter()
        let outcome = [0, 0, 0, 0, 99, 100, 100, 10_000, 10_000, 10_000, 10_000].map {
            meter.take(at: self.at($0), limit: limit)
        }
        #expect(outcome == [true, true, true, false, false, true, false, true, true, true, false])
    }

    @Test func bytesAreTakenTogether() {
        let limit = RateLimit(perSecond: 1_000, burst: 4_000)
        var meter = RateMeter()
        let now = self.at(0)
        let later = self.at(1_000)
        let outcome = [
            meter.take(3_000, at: now, limit: limit), meter.take(2_000, at: now, limit: limit),
            meter.take(2_000, at: later, limit: limit), meter.take(.max, at: self.at(3_600_000), limit: limit),
        ]
        #expect(outcome == [true, false, true, false])
    }

    @Test func withoutALimitEverythingPasses() {
        var meter = RateMeter()
        let allowed = (0..<1_000).allSatisfy { _ in meter.take(.max, at: self.at(0), limit: .unlimited) }
        #expect(allowed)
    }
}
