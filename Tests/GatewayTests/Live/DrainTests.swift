import NIOCore
import Testing

@testable import Gateway

/// A gateway that stops.
@Suite(.timeLimit(.minutes(1))) struct DrainTests {
    @Test func browsersAreSentAwayOneAfterTheOtherWhileMessagesFlow() async throws {
        try await withGateway { gateway in
            let browsers = try await gateway.open(40, "/channels/groups/news")
            let publisher = Task {
                var number = 0
                while !Task.isCancelled {
                    try await gateway.publish("\(number)", to: "news")
                    number += 1
                    try? await Task.sleep(for: .milliseconds(1))
                }
            }
            async let drained: Void = gateway.server.drain(within: .seconds(2))
            var counts: [Int] = []
            for browser in browsers {
                // Each hears the whole of what was said until its close, and nothing after it.
                var heard = 0
                var last: WebSocketParser.Event?
                while let event = try await browser.next() {
                    last = event
                    guard case .text(let text) = event else { break }
                    #expect(String(buffer: text) == "\(heard)")
                    heard += 1
                }
                #expect(last == .close(.serviceRestart, reason: "restart"))
                #expect(try await browser.next() == nil)
                counts.append(heard)
                browser.close()
            }
            publisher.cancel()
            _ = try await publisher.value
            await drained
            // In ten steps over two seconds: at no moment more than a few went together.
            #expect(Set(counts).count >= 5, "\(counts)")
            #expect(gateway.metric("carillon_gateway_connections") == 0)
            #expect(
                gateway.server.context.census == GatewayCensus(connections: 0, users: 0, groups: 0, subscriptions: 0))
        }
    }

    @Test func whoComesLateIsToldToComeBackElsewhere() async throws {
        try await withGateway { gateway in
            let early = try await gateway.connect()
            try await early.send("GET /channels/groups/news HTTP/1.1\r\n")
            // Accepted for certain, since another one is open.
            let open = try await gateway.open(4, "/channels/groups/news")
            async let drained: Void = gateway.server.drain(within: .zero)
            for browser in open { #expect(try await browser.next() == .close(.serviceRestart, reason: "restart")) }
            try await early.send("Host: a\r\n\r\n")
            let head = try await early.head()
            #expect(head.hasPrefix("HTTP/1.1 503 ") && head.contains("\r\nRetry-After: 1\r\n"))
            for browser in open { browser.close() }
            await drained
            await #expect(throws: (any Error).self) { _ = try await gateway.connect() }
        }
    }

    @Test func whoDoesNotReadItsCloseHoldsTheGatewayForASecondAtMost() async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open("/channels/groups/news")
            let clock = ContinuousClock()
            let start = clock.now
            await gateway.server.drain(within: .milliseconds(100))
            #expect(clock.now - start >= .seconds(1))
            #expect(try await browser.next() == .close(.serviceRestart, reason: "restart"))
        }
    }
}
