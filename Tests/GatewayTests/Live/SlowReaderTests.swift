import NIOCore
import Testing

@testable import Gateway

/// Browsers that read more slowly than their groups speak.
@Suite(.timeLimit(.minutes(1))) struct SlowReaderTests {
    private static let filler = String(repeating: "x", count: 32_768)

    /// Publishes until the browser that does not read is found to be slow; everything arrives at the other one at once.
    ///
    /// - Returns: how many messages it took.
    private static func publish(at gateway: LiveGateway, until message: String, heardBy good: LiveBrowser) async throws
        -> Int
    {
        for number in 0..<2_000 {
            let text = "\"\(number) \(Self.filler)\""
            try await gateway.publish(text, to: "news")
            #expect(try await good.nextText() == text)
            if !gateway.log.lines(message).isEmpty { return number + 1 }
        }
        throw ChannelError.operationUnsupported
    }

    @Test func aSlowReaderIsClosedWith3008AndTheOthersHearEverything() async throws {
        try await withGateway {
            $0.session.sendQueueLimit = 65_536
        } _: { gateway in
            let good = try await gateway.open("/channels/groups/news")
            let slow = try await gateway.open("/channels/groups/news", window: 8_192)
            try await slow.reads(false)
            let published = try await Self.publish(at: gateway, until: "Connection closed as slow", heardBy: good)
            let line = await gateway.log.line("Connection closed as slow")
            #expect(line["queue.bytes"].flatMap { Int($0) } ?? 0 > 65_536)
            #expect(line["peer"] == "127.0.0.1" && line["route"] == "/channels/groups/{name}")
            #expect(gateway.metric("carillon_gateway_slow_closes_total") == 1)

            // What it still gets is whole and without a hole, and then it is told why.
            try await slow.reads(true)
            var heard = 0
            var last: WebSocketParser.Event?
            while let event = try await slow.next() {
                last = event
                guard case .text(let text) = event else { break }
                #expect(String(buffer: text).hasPrefix("\"\(heard) "))
                heard += 1
            }
            #expect(last == .close(.slow, reason: "slow"))
            #expect(heard > 0 && heard < published)
            #expect(try await slow.next() == nil)

            try await gateway.publish("1", to: "news")
            #expect(try await good.nextText() == "1")
        }
    }

    @Test func whoNeverReadsIsCutOffAtTheEndOfItsTime() async throws {
        try await withGateway {
            $0.session.sendQueueLimit = 65_536
            $0.session.closeTimeout = 3
        } _: { gateway in
            let good = try await gateway.open("/channels/groups/news")
            let slow = try await gateway.open("/channels/groups/news", window: 8_192)
            try await slow.reads(false)
            _ = try await Self.publish(at: gateway, until: "Connection closed as slow", heardBy: good)
            // It is counted no more.
            while gateway.server.context.census.connections != 1 { await Task.yield() }
            try await gateway.passSeconds(4)
            try await slow.reads(true)
            while let event = try await slow.next() {
                guard case .text = event else { throw LiveBrowser.Unexpected(event: event) }
            }
        }
    }

    @Test func aSlowEventStreamIsToldByAnEvent() async throws {
        try await withGateway {
            $0.session.sendQueueLimit = 65_536
        } _: { gateway in
            let good = try await gateway.open("/channels/groups/news")
            let slow = try await gateway.stream("/channels/groups/news")
            try await slow.reads(false)
            _ = try await Self.publish(at: gateway, until: "Connection closed as slow", heardBy: good)
            try await slow.reads(true)
            #expect(try await slow.rest().hasSuffix("event: close\ndata: {\"code\": 3008, \"reason\": \"slow\"}\n\n"))
        }
    }
}
