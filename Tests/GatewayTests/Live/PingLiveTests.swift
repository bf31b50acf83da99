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

    private static func pingOften(_ configuration: inout GatewayConfiguration) {
        // The first one comes at a random second of the interval: here there is but one.
        configuration.session.pingInterval = 1
        configuration.session.pongTimeout = 1
    }
}
