import NIOCore
import NIOPosix
import Testing

@testable import Gateway

/// Pings, idle browsers and slow handshakes, in a time that the test moves.
@Suite(.timeLimit(.minutes(1))) struct TimesTests {
    /// What a browser hears until the message that was published last.
    private func heard(_ browser: LiveBrowser, until mark: String) async throws -> [WebSocketParser.Event] {
        var events: [WebSocketParser.Event] = []
        while let event = try await browser.next(), event != .text(mark) { events.append(event) }
        return events
    }

    // MARK: Pings

    @Test func whoDoesNotAnswerAPingIsClosedWith3012() async throws {
        try await withGateway {
            $0.session.pingInterval = 4
            $0.session.pongTimeout = 2
        } _: { gateway in
            let browser = try await gateway.open("/channels/groups/news")
            try await gateway.passSeconds(6)
            #expect(try await browser.next() == .ping(ByteBuffer()))
            #expect(try await browser.next() == .close(.noPong, reason: "no pong"))
            #expect(try await browser.next() == nil)
            #expect(gateway.server.context.census.connections == 0)
        }
    }

    @Test func whoAnswersStaysAndIsPingedOnceInAnInterval() async throws {
        try await withGateway {
            $0.session.pingInterval = 10
            $0.session.pongTimeout = 5
        } _: { gateway in
            let browser = try await gateway.open("/channels/groups/news")
            var pings = 0
            for second in 0..<100 {
                try await gateway.passSeconds(1)
                try await gateway.publish("\(second)", to: "news")
                for event in try await self.heard(browser, until: "\(second)") {
                    #expect(event == .ping(ByteBuffer()))
                    pings += 1
                    try await browser.send(clientFrame(10, []))
                }
            }
            #expect(pings == 10)
        }
    }

    @Test func pingsOfManyBrowsersAreSpreadOverTheInterval() async throws {
        try await withGateway {
            $0.session.pingInterval = 10
            $0.session.pongTimeout = 10
        } _: { gateway in
            let browsers = try await gateway.open(60, "/channels/groups/news")
            var pings: [Int] = []
            for second in 0..<10 {
                try await gateway.passSeconds(1)
                try await gateway.publish("\(second)", to: "news")
                var count = 0
                for browser in browsers { count += try await self.heard(browser, until: "\(second)").count }
                pings.append(count)
            }
            #expect(pings.reduce(0, +) == 60, "each once")
            // Six are expected; less than five seconds with pings, or twenty in one, happen once in many millions.
            #expect(pings.count { $0 > 0 } >= 5 && pings.allSatisfy { $0 < 20 }, "\(pings)")
        }
    }

    @Test func timesOfManyMinutesAreKept() async throws {
        try await withGateway {
            $0.session.pingInterval = 600
            $0.session.pongTimeout = 600
        } _: { gateway in
            let browser = try await gateway.open("/channels/groups/news")
            try await gateway.passSeconds(600)
            try await gateway.publish("0", to: "news")
            #expect(try await self.heard(browser, until: "0") == [.ping(ByteBuffer())])
            // It was sent up to 599 seconds ago, and its answer was waited for in vain.
            try await gateway.passSeconds(600)
            #expect(try await browser.next() == .close(.noPong, reason: "no pong"))
        }
    }

    @Test func anEventStreamGetsAComment() async throws {
        try await withGateway {
            $0.session.pingInterval = 5
        } _: { gateway in
            let stream = try await gateway.stream("/channels/groups/news")
            try await gateway.passSeconds(15)
            try await gateway.publish("1", to: "news")
            for _ in 0..<3 { #expect(try await stream.block() == ":") }
            #expect(try await stream.block()?.hasSuffix("\ndata: 1") == true)
        }
    }

    // MARK: Idle

    @Test func anIdleBrowserIsClosedAtItsSecond() async throws {
        try await withGateway {
            $0.session.idleTimeout = 3
        } _: { gateway in
            let (idle, busy) = (try await gateway.open("/channels/groups/a"), try await gateway.open())
            let stream = try await gateway.stream("/channels/groups/a")
            try await gateway.passSeconds(2)
            try await busy.send(clientFrame(1, Array("hello".utf8)))
            #expect(try await busy.nextText() == "hello")
            try await gateway.passSeconds(1)
            #expect(try await idle.next() == .close(.normal, reason: "idle"))
            #expect(try await stream.rest() == "event: close\ndata: {\"code\": 1000, \"reason\": \"idle\"}\n\n")
            try await busy.send(clientFrame(1, Array("again".utf8)))
            #expect(try await busy.nextText() == "again")
            try await gateway.passSeconds(3)
            #expect(try await busy.next() == .close(.normal, reason: "idle"))
        }
    }

    @Test func whoIsToldSomethingIsNotIdle() async throws {
        try await withGateway {
            $0.session.idleTimeout = 3
        } _: { gateway in
            let browser = try await gateway.open("/channels/groups/news")
            for number in 0..<5 {
                try await gateway.passSeconds(2)
                try await gateway.publish("\(number)", to: "news")
                #expect(try await browser.nextText() == "\(number)")
            }
            try await gateway.passSeconds(3)
            #expect(try await browser.next() == .close(.normal, reason: "idle"))
        }
    }

    @Test func pingsDoNotKeepABrowserFromBeingIdle() async throws {
        try await withGateway {
            $0.session.idleTimeout = 7
            $0.session.pingInterval = 2
            $0.session.pongTimeout = 100
        } _: { gateway in
            let browser = try await gateway.open("/channels/groups/news")
            try await gateway.passSeconds(7)
            #expect(try await browser.next() == .ping(ByteBuffer()))
            #expect(try await browser.next() == .close(.normal, reason: "idle"))
        }
    }

    // MARK: Handshakes

    @Test func whoSaysNothingIsAnsweredAndCutOff() async throws {
        try await withGateway {
            $0.handshakeTimeout = 3
        } _: { gateway in
            let browser = try await gateway.connect()
            try await self.beMet(gateway)
            try await gateway.passSeconds(3)
            #expect(try await browser.head().hasPrefix("HTTP/1.1 408 "))
            _ = try await browser.rest()
            #expect(gateway.metric("carillon_gateway_bad_requests_total") == 1)
            #expect(await gateway.log.line("Request refused")["status"] == "408")
        }
    }

    /// Whoever came before is known to the gateway's loops: others were answered on each of them.
    private func beMet(_ gateway: LiveGateway) async throws {
        for _ in 0..<4 {
            #expect(
                try await gateway.ask("GET /channels/carillon.js HTTP/1.1\r\nHost: a\r\n\r\n").head.hasPrefix(
                    "HTTP/1.1 200 "))
        }
    }

    @Test func oneByteASecondGainsNoTime() async throws {
        try await withGateway {
            $0.handshakeTimeout = 5
        } _: { gateway in
            let browser = try await gateway.connect()
            try await self.beMet(gateway)
            let request = Array(LiveBrowser.handshake("/channels/groups/news").utf8)
            for byte in request.prefix(5) {
                try await browser.send([byte])
                try await gateway.passSeconds(1)
            }
            #expect(try await browser.head().hasPrefix("HTTP/1.1 408 "))
        }
    }

    @Test func aWorkerThatNeverAnswersHoldsNoPlace() async throws {
        let answer = MultiThreadedEventLoopGroup.singleton.any().makePromise(of: AskAnswer.self)
        try await withGateway {
            $0.handshakeTimeout = 3
            let template = try Template("/who", captures: [])
            $0.routes = [try LiveGateway.route("/channels/who", .worker(WorkerAuthentication(path: template)))]
        } ask: { _ in
            { _, loop in answer.futureResult.hop(to: loop) }
        } _: { gateway in
            let browser = try await gateway.connect()
            try await browser.send(LiveBrowser.handshake("/channels/who"))
            while gateway.server.context.census.connections == 0 { await Task.yield() }
            try await gateway.passSeconds(3)
            #expect(try await browser.head().hasPrefix("HTTP/1.1 408 "))
            answer.succeed(AskAnswer(status: 200, body: ByteBuffer(string: "{}")))
            while gateway.server.context.census.connections > 0 { await Task.yield() }
            #expect(gateway.metric("carillon_gateway_handshakes_total") == 0)
        }
    }
}
