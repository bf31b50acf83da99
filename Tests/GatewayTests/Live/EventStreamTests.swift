import ChannelLayer
import NIOCore
import Testing

@testable import Gateway

/// Routes as event streams (WHATWG HTML section 9.2), as browsers' `EventSource` and plain HTTP clients see them.
@Suite(.timeLimit(.minutes(1))) struct EventStreamTests {
    private static let request = "GET /channels/groups/news HTTP/1.1\r\nHost: a\r\n"

    @Test func theHeadKeepsEverybodyFromCollectingTheStream() async throws {
        try await withGateway {
            $0.eventStreamRetry = 4_500
        } _: { gateway in
            let (browser, head) = try await gateway.ask(Self.request + "Accept: text/event-stream\r\n\r\n")
            #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n"))
            for field in [
                "Content-Type: text/event-stream", "Cache-Control: no-store", "X-Accel-Buffering: no",
                "Connection: close",
            ] { #expect(head.contains("\r\n\(field)\r\n"), "\(head)") }
            #expect(!head.contains("Access-Control") && !head.contains("Content-Length"))
            #expect(try await browser.block() == "retry: 4500")
        }
    }

    @Test func eventsHaveRisingNumbersAndALineForEachLine() async throws {
        try await withGateway { gateway in
            let stream = try await gateway.stream("/channels/groups/news")
            let group = try GroupName("news")
            let bytes = ByteBuffer(bytes: [0, 255])
            for message: LayerMessage in [
                .publication("text"), ["type": "websocket.send", "text": "a\nb\r\nc\rd\n"],
                .publication(.bytes(bytes)), ["type": "websocket.send", "text": ""],
            ] { try await gateway.layer.send(message, toGroup: group) }
            var numbers: [Int] = []
            for expected in [
                "data: \"text\"", "data: a\ndata: b\ndata: c\ndata: d\ndata: ", "event: binary\ndata: AP8=", "data: ",
            ] {
                let block = try #require(try await stream.block())
                let (first, rest) = block.split(separator: "\n", maxSplits: 1).map(String.init).pair
                #expect(rest == expected)
                let id = first.split(separator: "-", maxSplits: 1)
                #expect(id[0].hasPrefix("id: ") && id[0].utf8.count > 4)
                numbers.append(Int(id[1]) ?? -1)
            }
            #expect(numbers == numbers.sorted() && Set(numbers).count == 4)
        }
    }

    @Test(arguments: [
        ("text/event-stream", 200), ("Text/Event-Stream; charset=utf-8", 200),
        ("text/html, text/event-stream;q=0.5", 200),
        ("text/event-stream;q=0", 426), ("*/*", 426), ("text/*", 426), ("text/html", 426),
    ])
    func onlyWhoAsksForAStreamByNameGetsOne(_ accept: String, _ status: Int) async throws {
        try await withGateway { gateway in
            let (browser, head) = try await gateway.ask(Self.request + "Accept: \(accept)\r\n\r\n")
            #expect(head.hasPrefix("HTTP/1.1 \(status) "))
            #expect(head.contains("\r\nUpgrade: websocket\r\n") == (status == 426))
            browser.close()
        }
    }

    @Test(arguments: ["HEAD", "POST", "OPTIONS", "DELETE"])
    func otherMethodsAreRefusedAndHEADGetsNoBody(_ method: String) async throws {
        try await withGateway { gateway in
            for fields in ["Accept: text/event-stream\r\n", "", "Upgrade: websocket\r\nConnection: Upgrade\r\n"] {
                let (browser, head) = try await gateway.ask(
                    "\(method) /channels/groups/news HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
                #expect(head.hasPrefix("HTTP/1.1 405 ") && head.contains("\r\nAllow: GET\r\n"), "\(head)")
                #expect(try await browser.rest().isEmpty == (method == "HEAD"))
            }
        }
    }

    @Test func theBrowserModuleAnswersHEADWithoutItsText() async throws {
        try await withGateway { gateway in
            let (browser, head) = try await gateway.ask("HEAD /channels/carillon.js HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(head.hasPrefix("HTTP/1.1 200 ") && head.contains("\r\nContent-Length: "))
            #expect(try await browser.rest().isEmpty)
        }
    }

    @Test func whoComesBackWithALastEventIDHearsOnFromNow() async throws {
        try await withGateway { gateway in
            let first = try await gateway.stream("/channels/groups/news")
            try await gateway.publish("1", to: "news")
            let id = try #require(try await first.block()?.split(separator: "\n").first?.dropFirst(4))
            first.close()
            // No history is kept yet, so nothing can be made up for; the id is taken without a word.
            let again = try await gateway.stream("/channels/groups/news", "Last-Event-ID: \(id)\r\n")
            try await gateway.publish("2", to: "news")
            #expect(try await again.block()?.hasSuffix("\ndata: 2") == true)
        }
    }

    @Test func aPageOfAnotherOriginThatIsLetInMayReadTheStream() async throws {
        try await withGateway {
            $0.allowedOrigins = ["https://page.example"]
        } _: { gateway in
            let (browser, head) = try await gateway.ask(
                Self.request + "Accept: text/event-stream\r\nOrigin: https://page.example\r\n\r\n")
            #expect(head.hasPrefix("HTTP/1.1 200 "))
            #expect(head.contains("\r\nAccess-Control-Allow-Origin: https://page.example\r\n"))
            #expect(head.contains("\r\nAccess-Control-Allow-Credentials: true\r\n"))
            #expect(head.contains("\r\nVary: Origin\r\n"))
            browser.close()
            let (_, refused) = try await gateway.ask(
                Self.request + "Accept: text/event-stream\r\nOrigin: https://evil.example\r\n\r\n")
            #expect(refused.hasPrefix("HTTP/1.1 403 ") && !refused.contains("Access-Control"))
        }
    }

    @Test func aStreamThatSaysSomethingAfterItsRequestIsServedOn() async throws {
        try await withGateway { gateway in
            let stream = try await gateway.stream("/channels/groups/news")
            try await stream.send("GET / HTTP/1.1\r\n\r\n")
            try await gateway.publish("1", to: "news")
            #expect(try await stream.block()?.hasSuffix("\ndata: 1") == true)
        }
    }

    @Test func aStoppingGatewayEndsStreamsWithAnEvent() async throws {
        try await withGateway { gateway in
            let stream = try await gateway.stream("/channels/groups/news")
            await gateway.server.drain(within: .zero)
            #expect(try await stream.rest() == "event: close\ndata: {\"code\": 1012, \"reason\": \"restart\"}\n\n")
        }
    }
}

extension [String] {
    /// The first two; empty where there is none.
    fileprivate var pair: (String, String) { (self.first ?? "", self.count > 1 ? self[1] : "") }
}
