import TestSupport
import Testing

@testable import RabbitMQLayer

@Suite struct ConfirmWindowTests {
    private func window(_ elements: Range<Int>) -> ConfirmWindow<Int> {
        var window = ConfirmWindow<Int>()
        for element in elements { window.append(element) }
        return window
    }

    @Test func oneNumberAnswersForOneMessage() {
        var window = self.window(1..<6)
        #expect(window.settle(2, multiple: false) == [2])
        #expect(window.settle(2, multiple: false) == [], "an answer counts once")
        #expect(window.settle(1, multiple: false) == [1])
        #expect(window.count == 3)
    }

    @Test func aMultipleAnswerIsForAllBefore() {
        var window = self.window(1..<6)
        #expect(window.settle(3, multiple: false) == [3])
        #expect(window.settle(4, multiple: true) == [1, 2, 4])
        window.append(6)
        #expect(window.settle(0, multiple: true) == [5, 6], "zero is everything")
        #expect(window.count == 0)
    }

    @Test func numbersThatWereNeverGivenAnswerForNothing() {
        var window = self.window(1..<3)
        for number in [0, 3, 99, UInt64.max] { #expect(window.settle(number, multiple: false) == []) }
        #expect(window.settle(99, multiple: true) == [])
        #expect(window.count == 2)
    }

    @Test func aNewChannelCountsFromOne() {
        var window = self.window(1..<4)
        #expect(window.settle(2, multiple: false) == [2])
        #expect(window.takeAll() == [1, 3])
        window.append(7)
        #expect(window.settle(1, multiple: false) == [7])
    }

    @Test func theOldestOnesCanBeChangedInTheirPlaces() {
        var window = self.window(1..<6)
        _ = window.settle(1, multiple: false)
        window.updateOldest(while: { $0 < 4 }) { $0 *= 10 }
        #expect(window.settle(5, multiple: true) == [20, 30, 4, 5])
    }

    /// However acks come, each message is answered for exactly once.
    @Test func everyMessageIsAnsweredOnce() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<200 {
            var window = ConfirmWindow<UInt64>()
            var settled: [UInt64] = []
            for number in UInt64(1)...60 {
                window.append(number)
                if Bool.random(using: &generator) {
                    settled += window.settle(
                        .random(in: 0...number + 1, using: &generator), multiple: .random(using: &generator))
                }
            }
            settled += window.takeAll()
            #expect(settled.sorted() == Array(1...60))
        }
    }
}
