import ChannelLayer
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import Gateway

/// How far a publisher is.
private final class Progress: Sendable {
    let value = Atomic(0)
}

/// Followers that come and go while a pass over a big group is under way: a slice of one follower makes every write a loop
/// turn of its own, between which anything can happen.
@Suite(.timeLimit(.minutes(1))) struct SliceTests {
    @Test(arguments: [1, 3]) func whoStaysHearsEverythingOnceWhileOthersComeAndGo(_ slice: Int) async throws {
        try await withGateway({ $0.slice = slice }, loops: 1) { gateway in
            let path = "/channels/groups/news"
            let staying = try await gateway.open(8, path)
            let last = 400
            let published = Progress()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    for number in 0...last {
                        try await gateway.publish("\(number)", to: "news")
                        published.value.store(number, ordering: .releasing)
                        if number % 5 == 0 { await Task.yield() }
                    }
                }
                for lane in 0..<4 {
                    tasks.addTask {
                        var random = SeededGenerator(seed: UInt64(lane))
                        // Comes, hears a run without a hole, and goes without a word.
                        while published.value.load(ordering: .acquiring) < last {
                            let browser = try await gateway.open(path)
                            let count = Int.random(in: 0..<4, using: &random)
                            var before: Int?
                            for _ in 0..<count where published.value.load(ordering: .acquiring) < last - 10 {
                                let number = Int(try await browser.nextText())
                                if let before { #expect(number == before + 1) }
                                before = number
                            }
                        }
                    }
                }
                try await tasks.waitForAll()
            }
            for browser in staying {
                for number in 0...last { #expect(try await browser.nextText() == "\(number)") }
            }
        }
    }

    @Test func aSmallGroupDoesNotWaitForABigOne() async throws {
        try await withGateway({ $0.slice = 1 }, loops: 1) { gateway in
            let big = try await gateway.open(50, "/channels/groups/big")
            let small = try await gateway.open("/channels/groups/small")
            try await gateway.publish("0", to: "big")
            try await gateway.publish("1", to: "small")
            #expect(try await small.nextText() == "1")
            for browser in big { #expect(try await browser.nextText() == "0") }
            #expect(gateway.metric("carillon_gateway_publications_total") == 2)
            // A write is counted a moment after it was made.
            while gateway.metric("carillon_gateway_deliveries_total") < 51 { await Task.yield() }
            #expect(gateway.metric("carillon_gateway_deliveries_total") == 51)
        }
    }

    @Test func aCloseComesAfterWhatWasSaidBeforeIt() async throws {
        try await withGateway({ $0.slice = 2 }, loops: 1) { gateway in
            let browsers = try await gateway.open(20, "/channels/groups/news")
            let both = try await gateway.open("/channels/pairs/news/other")
            for number in 0..<10 { try await gateway.publish("\(number)", to: "news") }
            try await gateway.layer.send(
                ["type": "websocket.close", "code": 4001, "reason": "bye"], toGroup: try GroupName("news"))
            for browser in browsers + [both] {
                for number in 0..<10 { #expect(try await browser.nextText() == "\(number)") }
                #expect(try await browser.next() == .close(CloseCode(rawValue: 4001), reason: "bye"))
            }
        }
    }
}
