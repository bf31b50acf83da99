import NIOCore
import Testing

@testable import Gateway

/// What becomes of browsers that say nothing.
@Suite(.timeLimit(.minutes(1))) struct PingLiveTests {
    @Test func whoAnswersAPingWithinTheSameSecondStaysAndGetsTheNextOne() async throws {
        try await withGateway(Self.pingOften) { gateway in
            let browser = try await gateway.open("/channels/groups/news")
            try await gateway.passSeconds(1)
            for _ in 0..<3 {
                #expect(try await browser.next() == .ping(ByteBuffer()))
                // The answer to the second frame says that the gateway has had the first.
                try await browser.send(clientFrame(10, []) + clientFrame(9, [1]))
                #expect(try await browser.next() == .pong(ByteBuffer(bytes: [1])))
                try await gateway.passSeconds(2)
            }
        }
    }

    @Test func whoAnswersNoPingIsClosedWith3012() async throws {
        try await withGateway(Self.pingOften) { gateway in
            let browser = try await gateway.open("/channels/groups/news")
            try await gateway.passSeconds(1)
            #expect(try await browser.next() == .ping(ByteBuffer()))
            try await gateway.passSeconds(1)
            #expect(try await browser.next() == .close(.noPong, reason: "no pong"))
        }
    }

    @Test func whoReadsWhatWaitsForItIsThereAlthoughItsPongIsLate() async throws {
        try await withGateway {
            Self.pingOften(&$0)
            $0.session.sendQueueLimit = 1 << 26
        } _: { gateway in
            let browser = try await gateway.open("/channels/groups/news", window: 8_192)
            try await browser.reads(false)
            // More than the system takes for a browser that does not read: the ping comes after all of it.
            let texts = (0..<256).map { "\"\($0) \(String(repeating: "x", count: 65_536))\"" }
            for text in texts { try await gateway.publish(text, to: "news") }
            try await gateway.passSeconds(1)
            try await browser.reads(true)
            for text in texts { #expect(try await browser.nextText() == text) }
            #expect(try await browser.next() == .ping(ByteBuffer()))
            try await gateway.passSeconds(1)
            try await gateway.publish("1", to: "news")
            #expect(try await browser.nextText() == "1")
        }
    }

    private static func pingOften(_ configuration: inout GatewayConfiguration) {
        // The first one comes at a random second of the interval: here there is but one.
        configuration.session.pingInterval = 1
        configuration.session.pongTimeout = 1
    }
}
