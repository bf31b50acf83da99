import JSON
import NIOCore
import Testing

@testable import Gateway

/// A broker that was away.
@Suite(.timeLimit(.minutes(1))) struct GapTests {
    @Test func eachRouteTellsAGapInItsWay() async throws {
        let layer = BrokenLayer()
        let told = JSONText(unchecked: ByteBuffer(string: #"{"type":"gap"}"#))
        let behaviours: [(String, RouteConfiguration.GapBehaviour)] = [
            ("ignore", .ignore), ("close", .close), ("send", .send(told)),
        ]
        try await withGateway(
            {
                $0.slice = 2
                $0.routes = try behaviours.map { name, gap in
                    try LiveGateway.route("/channels/\(name)", groups: ["news"]) { $0.gap = gap }
                }
            }, layer: layer
        ) { gateway in
            let ignoring = try await gateway.open(3, "/channels/ignore")
            let closing = try await gateway.open(3, "/channels/close")
            let sending = try await gateway.open(3, "/channels/send")
            let stream = try await gateway.stream("/channels/send")
            try await gateway.publish("1", to: "news")
            for browser in ignoring + closing + sending { #expect(try await browser.nextText() == "1") }
            #expect(try await stream.block()?.hasSuffix("\ndata: 1") == true)
            layer.interrupt()
            #expect(gateway.metric("carillon_gateway_feed_interruptions_total") == 1)
            #expect(await gateway.log.line("The layer was lost; browsers may miss messages").level == .warning)
            layer.restore()
            await gateway.log.line("The layer is back; all groups are followed again")
            for browser in closing {
                #expect(try await browser.next() == .close(.serviceRestart, reason: "gap"))
            }
            for browser in sending { #expect(try await browser.nextText() == #"{"type":"gap"}"#) }
            #expect(try await stream.block()?.hasSuffix("\ndata: {\"type\":\"gap\"}") == true)
            try await gateway.publish("2", to: "news")
            for browser in sending { #expect(try await browser.nextText() == "2") }
            for browser in ignoring { #expect(try await browser.nextText() == "2") }
        }
    }
}
