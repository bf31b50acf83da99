import NIOCore
import TestSupport
import Testing

@testable import RedisLayer

@Suite struct RedisClusterValuesTests {
    @Test(arguments: [
        ("123456789", 12_739), ("foo", 12_182), ("{user1000}.following", 3_443), ("{user1000}.followers", 3_443),
        ("", 0), ("foo{}{bar}", 8_363), ("foo{{bar}}zap", 4_015), ("foo{bar}{zap}", 5_061), ("bar", 5_061),
    ]) func slotsAreThoseOfTheServer(_ name: String, _ slot: Int) {
        #expect(RedisSlot.of(name) == slot)
    }

    private let asked = RedisEndpoint.Address.tcp(host: "seed", port: 7_000)

    private func node(_ host: String, _ port: Int64) -> RedisReply {
        .array([.bulk(ByteBuffer(string: host)), .integer(port), .bulk(ByteBuffer(string: "id"))])
    }

    @Test func theMapOfSlotsIsRead() {
        let reply = RedisReply.array([
            .array([.integer(0), .integer(99), self.node("10.0.0.1", 7_001), self.node("10.0.0.2", 7_002)]),
            .array([.integer(100), .integer(16_383), self.node("", 7_003)]),
        ])
        let topology = RedisTopology(reply, from: self.asked)
        #expect(topology?.ranges.map(\.slots) == [0...99, 100...16_383])
        #expect(
            topology?.ranges.map(\.master) == [.tcp(host: "10.0.0.1", port: 7_001), .tcp(host: "seed", port: 7_003)])
    }

    @Test func whatIsNoMapIsNone() {
        for reply in [
            RedisReply.null, .array([]), .integer(1), .array([.integer(1)]),
            .array([.array([.integer(0), .integer(16_384), self.node("h", 1)])]),
            .array([.array([.integer(5), .integer(4), self.node("h", 1)])]),
            .array([.array([.integer(-1), .integer(4), self.node("h", 1)])]),
            .array([.array([.integer(0), .integer(4), self.node("h", 70_000)])]),
            .array([.array([.integer(0), .integer(4), .array([])])]), .array([.array([.integer(0), .integer(4)])]),
        ] { #expect(RedisTopology(reply, from: self.asked) == nil) }
    }

    @Test func whereASlotMovedToIsRead() {
        func moved(_ text: String) -> RedisEndpoint.Address? {
            RedisTopology.moved(RedisError(RedisServerError(message: text)), from: self.asked)
        }
        #expect(moved("MOVED 3999 127.0.0.1:6381") == .tcp(host: "127.0.0.1", port: 6_381))
        #expect(moved("MOVED 3999 ::1:6381") == .tcp(host: "::1", port: 6_381))
        #expect(moved("MOVED 3999 :6381") == .tcp(host: "seed", port: 6_381))
        for text in ["MOVED", "MOVED 1", "MOVED 1 x", "MOVED 1 h:99999", "MOVED 1 h:", "CLUSTERDOWN x y:1", "ERR x"] {
            #expect(moved(text) == nil)
        }
    }

    private let first = RedisEndpoint.Address.tcp(host: "first", port: 1)
    private let second = RedisEndpoint.Address.tcp(host: "second", port: 2)

    @Test func nothingOvertakesWhatANodeSentBack() {
        var traffic = RedisSlotTraffic<Int>(first: self.first)
        #expect(traffic.send(1, in: 7) == self.first)
        #expect(traffic.send(2, in: 7) == self.first)
        #expect(traffic.send(9, in: 8) == self.first)
        traffic.setOwner(of: 7, self.second)
        #expect(traffic.answered(in: 7, returned: 1) == [])
        #expect(traffic.send(3, in: 7) == nil)
        #expect(traffic.held == 2)
        #expect(traffic.answered(in: 7, returned: 2) == [1, 2, 3])
        #expect(traffic.held == 0)
        #expect(traffic.send(4, in: 7) == self.second)
        #expect(traffic.send(10, in: 8) == self.first, "other slots are not held up")
    }

    @Test func anIdleSlotMovesAtOnce() {
        var traffic = RedisSlotTraffic<Int>(first: self.first)
        _ = traffic.send(1, in: 7)
        #expect(traffic.answered(in: 7, returned: nil) == [])
        traffic.setOwner(of: 7, self.second)
        #expect(traffic.send(2, in: 7) == self.second)
        traffic.setOwner(of: 7, self.first)
        #expect(traffic.send(3, in: 7) == nil)
        #expect(traffic.takeHeld() == [3])
    }
}
