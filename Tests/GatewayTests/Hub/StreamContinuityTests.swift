import ChannelLayer
import TestSupport
import Testing

@testable import Gateway

/// What a gateway hands on of a stream, whatever the layer loses, doubles or forgets.
@Suite struct StreamContinuityTests {
    /// A stream at the gateway, and what it did as one text per action.
    private struct Stream {
        var continuity = StreamContinuity()

        private func place(_ offset: UInt64, _ epoch: String) -> StreamPosition {
            StreamPosition(offset: offset, epoch: epoch)
        }

        mutating func arrives(_ offset: UInt64, _ epoch: String = "e") -> String {
            self.text(self.continuity.arrived(.publication(.null), at: self.place(offset, epoch)))
        }

        mutating func repaired(_ offsets: ClosedRange<UInt64>?, top: UInt64, _ epoch: String = "e") -> String {
            self.text(self.continuity.repaired(.success(ProtocolLine.page(offsets, top: top, epoch: epoch))))
        }

        mutating func cannotBeRepaired() -> String {
            self.text(self.continuity.repaired(.failure(LayerError(.unavailable, "away"))))
        }

        mutating func observed(_ top: UInt64, _ epoch: String = "e", asked: UInt64? = nil) -> String {
            self.text(
                self.continuity.observed(
                    self.place(top, epoch), asked: asked.map { self.place($0, "e") } ?? self.continuity.position))
        }

        private func text(_ actions: [StreamContinuity.Action]) -> String {
            actions.map { action in
                switch action {
                case .handOn(let found): found.map { "\($0.offset)" }.joined(separator: ",")
                case .read(let since): "read \(since.offset) \(since.epoch)"
                case .tellLost: "lost"
                }
            }.joined(separator: " ")
        }
    }

    @Test func whatComesInOrderIsHandedOn() {
        var stream = Stream()
        #expect(stream.arrives(7) == "7")
        #expect(stream.arrives(8) == "8")
        #expect(stream.continuity.position == StreamPosition(offset: 8, epoch: "e"))
    }

    @Test func aGapIsRepairedInPlace() {
        var stream = Stream()
        #expect(stream.arrives(1) == "1")
        #expect(stream.arrives(4) == "read 1 e")
        #expect(stream.continuity.position == nil)
        #expect(stream.arrives(5) == "")
        #expect(stream.repaired(2...4, top: 4) == "2,3,4 5")
        #expect(stream.arrives(6) == "6")
    }

    @Test func whatWasRepairedMayStillCome() {
        var stream = Stream()
        _ = stream.arrives(1)
        #expect(stream.observed(3) == "read 1 e")
        #expect(stream.repaired(2...3, top: 3) == "2,3")
        #expect(stream.arrives(2) == "")
        #expect(stream.arrives(3) == "")
        #expect(stream.arrives(4) == "4")
    }

    @Test func aGapThatCannotBeClosedIsTold() {
        var expired = Stream()
        _ = expired.arrives(1)
        #expect(expired.arrives(9) == "read 1 e")
        #expect(expired.repaired(5...9, top: 9) == "lost 9")
        #expect(expired.arrives(10) == "10")

        var away = Stream()
        _ = away.arrives(1)
        _ = away.arrives(3)
        #expect(away.cannotBeRepaired() == "lost 3")
        #expect(away.arrives(4) == "4")
    }

    @Test func anotherEpochIsAnotherStream() {
        var stream = Stream()
        _ = stream.arrives(5)
        #expect(stream.arrives(1, "f") == "lost 1")
        #expect(stream.arrives(2, "f") == "2")
        // An answer about the first one comes late.
        #expect(stream.observed(5, "e", asked: 5) == "")
    }

    @Test func aStreamThatWentBackIsTold() {
        var stream = Stream()
        _ = stream.arrives(5)
        #expect(stream.observed(3, asked: 5) == "lost")
        #expect(stream.arrives(4) == "4")
        #expect(stream.arrives(4) == "lost 4")
    }

    @Test func whatIsNewerThanTheAnswerIsNoLoss() {
        var stream = Stream()
        _ = stream.arrives(5)
        _ = stream.arrives(6)
        _ = stream.arrives(7)
        #expect(stream.observed(5, asked: 5) == "")
        #expect(stream.observed(7, asked: 5) == "")
        #expect(stream.arrives(8) == "8")
    }

    @Test func whatIsMissedBeforeTheFirstArrivalIsRepairedToo() {
        var stream = Stream()
        #expect(stream.observed(5) == "")
        #expect(stream.continuity.position == StreamPosition(offset: 5, epoch: "e"))
        #expect(stream.arrives(7) == "read 5 e")
        #expect(stream.repaired(6...7, top: 7) == "6,7")

        // What was on its way when the top was read comes first.
        var other = Stream()
        _ = other.observed(5)
        #expect(other.arrives(4) == "4")
        #expect(other.arrives(5) == "5")
    }

    @Test func aRepairThatTakesTooLongEnds() {
        var stream = Stream()
        _ = stream.arrives(1)
        #expect(stream.arrives(3) == "read 1 e")
        for offset in 4...UInt64(StreamContinuity.waitingLimit + 2) { #expect(stream.arrives(offset) == "") }
        #expect(stream.arrives(20_000).hasPrefix("lost 3,4,"))
        #expect(stream.arrives(20_001) == "20001")
        #expect(stream.repaired(2...3, top: 3) == "")
    }

    /// A layer that loses publications at random, and delivers the rest in order: what is handed on has no gap, no double.
    @Test(arguments: 0..<200) func nothingIsMissedOrDoubled(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var stream = Stream()
        var heard: [UInt64] = []
        var asked: UInt64?
        func take(_ text: String) {
            let words = text.split(separator: " ").map(String.init)
            var index = 0
            while index < words.count {
                if words[index] == "read" {
                    asked = UInt64(words[index + 1])
                    index += 3
                } else {
                    #expect(words[index] != "lost")
                    heard += words[index].split(separator: ",").compactMap { UInt64($0) }
                    index += 1
                }
            }
        }
        for offset in 1...UInt64(100) {
            if offset == 1 || Int.random(in: 0..<4, using: &random) > 0 { take(stream.arrives(offset)) }
            if let since = asked, Int.random(in: 0..<3, using: &random) == 0 {
                asked = nil
                take(stream.repaired(since < offset ? (since + 1)...offset : nil, top: offset))
            }
            if asked == nil, Int.random(in: 0..<10, using: &random) == 0 { take(stream.observed(offset)) }
        }
        if asked == nil { take(stream.observed(100)) }
        if let since = asked { take(stream.repaired(since < 100 ? (since + 1)...100 : nil, top: 100)) }
        #expect(heard == Array(1...100))
    }
}
