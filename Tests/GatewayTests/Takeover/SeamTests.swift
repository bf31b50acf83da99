import TestSupport
import Testing

@testable import Gateway

@Suite struct SeamTests {
    private static let skew: UInt64 = 100

    private func heard(_ name: Int, at time: UInt64) -> HeardMessage {
        HeardMessage(key: .init(high: UInt64(name), low: 0), time: time)
    }

    @Test func whatTheOldOneDeliveredIsNotDeliveredAgain() {
        var seam = Seam<Int>(skew: Self.skew)
        for (name, time) in [(1, 950), (2, 970), (3, 1_010), (4, 1_020)] as [(Int, UInt64)] {
            seam.record(name, self.heard(name, at: time))
        }
        let log = [self.heard(1, at: 960), self.heard(2, at: 965)]
        let answer1 = seam.join(log, cut: 1_000, now: 1_100)
        #expect(answer1 == [3, 4])
        let answer2 = seam.takes(self.heard(1, at: 1_110))
        #expect(answer2, "the same once more is a new message")
        #expect(seam.missing == 0)
    }

    @Test func whatComesLateIsPassedOverOnce() {
        var seam = Seam<Int>(skew: Self.skew)
        let answer3 = seam.join([self.heard(7, at: 990)], cut: 1_000, now: 1_005)
        #expect(answer3 == [])
        let answer4 = seam.takes(self.heard(7, at: 1_010))
        #expect(!answer4)
        let answer5 = seam.takes(self.heard(7, at: 1_020))
        #expect(answer5)
    }

    @Test func whatBothHeardOnceIsTheSameHoweverLate() {
        var seam = Seam<Int>(skew: Self.skew)
        seam.record(1, self.heard(1, at: 990))
        seam.record(2, self.heard(2, at: 995))
        let answer = seam.join([self.heard(1, at: 760), self.heard(2, at: 810)], cut: 1_000, now: 1_000)
        #expect(answer == [])
    }

    @Test func whatWasNotedEarlyIsNotWaitedFor() {
        var seam = Seam<Int>(skew: Self.skew)
        let answer = seam.join([self.heard(1, at: 760)], cut: 1_000, now: 1_000)
        #expect(answer == [])
        #expect(seam.missing == 0)
    }

    @Test func whatWasHeardLongBeforeTheCutWasDeliveredThere() {
        var seam = Seam<Int>(skew: Self.skew)
        seam.record(1, self.heard(1, at: 850))
        let answer6 = seam.join([], cut: 1_000, now: 1_000)
        #expect(answer6 == [])
    }

    @Test func aMessageThatNeverComesIsForgottenAfterTwiceTheSkew() {
        var seam = Seam<Int>(skew: Self.skew)
        let answer7 = seam.join([self.heard(1, at: 990)], cut: 1_000, now: 1_000)
        #expect(answer7 == [])
        #expect(seam.missing == 1 && !seam.isOver(at: 1_200) && seam.isOver(at: 1_201))
        let answer8 = seam.takes(self.heard(1, at: 1_300))
        #expect(answer8)
    }

    /// Two gateways hear the same messages, many of them equal, each a little later or earlier and in another order.
    @Test(arguments: 0..<200) func everyMessageIsDeliveredOnce(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let cut: UInt64 = 10_000
        // Equal messages are further apart than one gateway is behind the other, as docs/design.md wants.
        var old: [(name: Int, time: UInt64)] = []
        var new: [(name: Int, time: UInt64)] = []
        var time: UInt64 = 5_000
        while time < 15_000 {
            time += UInt64.random(in: 30...80, using: &random)
            let name = Int.random(in: 0..<6, using: &random)
            let isRepeated = old.last?.name == name
            if isRepeated { continue }
            old.append((name, time))
            new.append((name, time + UInt64.random(in: 0...20, using: &random)))
        }
        new.sort { $0.time < $1.time }
        let now = cut + UInt64.random(in: 0...400, using: &random)
        var seam = Seam<Int>(skew: Self.skew)
        for one in new where one.time <= now { seam.record(one.name, self.heard(one.name, at: one.time)) }
        let before = old.filter { $0.time <= cut }
        let log = before.filter { $0.time > cut - 2 * Self.skew }.map { self.heard($0.name, at: $0.time) }
        var delivered = before.map(\.name) + seam.join(log, cut: cut, now: now)
        for one in new where one.time > now {
            if seam.takes(self.heard(one.name, at: one.time)) { delivered.append(one.name) }
        }
        // In order: each name's copies are equal, so that the numbers say all.
        for name in 0..<6 {
            #expect(delivered.count { $0 == name } == old.count { $0.name == name }, "of \(name)")
        }
        #expect(seam.missing == 0)
    }
}
