import NIOCore
import Testing

@testable import Router

@Suite struct GatewayLoadTests {
    private func at(_ milliseconds: Int64) -> NIODeadline {
        .uptimeNanoseconds(0) + .hours(1) + .milliseconds(milliseconds)
    }

    @Test func whatWasHandedOverIsAddedToWhatWasTold() {
        var load = GatewayLoad(openedAt: self.at(0))
        load.reports(7, at: self.at(0))
        load.wasHandedOne(at: self.at(10))
        load.wasHandedOne(at: self.at(10))
        #expect(load.connections == 9)
    }

    @Test func aReportThatMayLackTheLastOnesIsLeftOutForAWhile() {
        var load = GatewayLoad(openedAt: self.at(0))
        load.reports(7, at: self.at(0))
        load.wasHandedOne(at: self.at(900))
        load.reports(7, at: self.at(1_000))
        #expect(load.connections == 8)
        load.reports(8, at: self.at(2_000))
        #expect(load.connections == 8)
        // Under steady arrivals one is taken all the same.
        for time in stride(from: Int64(2_100), to: 5_500, by: 200) { load.wasHandedOne(at: self.at(time)) }
        load.reports(3, at: self.at(5_500))
        #expect(load.connections == 3)
    }

    @Test func whoSaysNothingForSecondsIsQuietUntilItSpeaks() {
        var load = GatewayLoad(openedAt: self.at(0))
        #expect(!load.isQuiet(at: self.at(3_000)))
        #expect(load.isQuiet(at: self.at(3_001)))
        // Also when its number is left out.
        load.wasHandedOne(at: self.at(3_500))
        load.reports(0, at: self.at(3_501))
        #expect(!load.isQuiet(at: self.at(6_501)))
        #expect(load.isQuiet(at: self.at(6_502)))
    }
}
