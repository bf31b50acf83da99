import ChannelLayer
import NIOCore
import TestSupport
import Testing

@testable import Gateway

/// Browsers that choose their channels themselves, over real sockets.
@Suite(.timeLimit(.minutes(1))) struct ClientLiveTests {
    private static let path = "/channels/connection/websocket"

    private func withClients(
        _ change: @escaping (inout GatewayConfiguration) -> Void = { _ in },
        _ body: (LiveGateway) async throws -> Void
    ) async throws {
        try await withGateway {
            var client = ClientConfiguration()
            client.allowsAnonymous = true
            var open = ChannelOptions()
            open.allowSubscribeForClient = true
            open.allowSubscribeForAnonymous = true
            open.publishing.forSubscriber = true
            client.namespaces = ChannelNamespaces(withoutNamespace: open, [("chat", open)])
            $0.client = client
            change(&$0)
        } _: { gateway in
            try await body(gateway)
        }
    }

    /// A browser past its `connect`.
    private func connect(to gateway: LiveGateway) async throws -> LiveBrowser {
        let browser = try await gateway.open(Self.path)
        try await browser.say(#"{"id":1,"connect":{}}"#)
        #expect(try await browser.nextText().hasPrefix(#"{"id":1,"connect":{"client":"#))
        return browser
    }

    private func subscribe(_ browser: LiveBrowser, _ channels: String...) async throws {
        for channel in channels {
            try await browser.say(#"{"id":2,"subscribe":{"channel":"\#(channel)"}}"#)
            #expect(try await browser.nextText() == #"{"id":2,"subscribe":{}}"#)
        }
    }

    private func push(_ channel: String, _ data: String) -> String {
        #"{"push":{"channel":"\#(channel)","pub":{"data":\#(data)}}}"#
    }

    @Test func commandsOfOneFrameAreAnsweredInTheirOrder() async throws {
        try await self.withClients { gateway in
            let browser = try await gateway.open(Self.path)
            try await browser.say(
                """
                {"id":1,"connect":{}}
                {"id":2,"subscribe":{"channel":"chat:7"}}
                {"id":3,"presence":{"channel":"chat:7"}}
                {"id":4,"publish":{"channel":"chat:7","data":1}}
                {"id":5,"unsubscribe":{"channel":"chat:7"}}

                """)
            var lines: [String] = []
            while lines.count < 6 { lines += try await browser.nextText().split(separator: "\n").map(String.init) }
            let push = #"{"push":{"channel":"chat:7","pub":{"data":1,"info""#
            let pushed = try #require(lines.firstIndex { $0.hasPrefix(push) })
            #expect(pushed > 1 && pushed < 5)
            lines.remove(at: pushed)
            #expect(lines[0].hasPrefix(#"{"id":1,"connect":"#))
            #expect(
                lines.dropFirst() == [
                    #"{"id":2,"subscribe":{}}"#, #"{"id":3,"error":{"code":108,"message":"not available"}}"#,
                    #"{"id":4,"publish":{}}"#, #"{"id":5,"unsubscribe":{}}"#,
                ])
        }
    }

    @Test func whatIsPublishedReachesChannelsAndPlainRoutesAlike() async throws {
        try await self.withClients { gateway in
            let browsers = [try await self.connect(to: gateway), try await self.connect(to: gateway)]
            let plain = try await gateway.open("/channels/groups/news")
            for browser in browsers { try await self.subscribe(browser, "news") }
            try await gateway.publish("{\"a\":1}", to: "news")
            for browser in browsers { #expect(try await browser.nextText() == self.push("news", "{\"a\":1}")) }
            #expect(try await plain.nextText() == "{\"a\":1}")
        }
    }

    /// A second channel makes a solo follower a shared one, while messages of the first are on their way in slices.
    @Test func nobodyMissesOrHearsTwiceWhatComesWhileChannelsAreAddedAndLeft() async throws {
        try await self.withClients({ $0.slice = 1 }) { gateway in
            var browsers: [LiveBrowser] = []
            for _ in 0..<6 {
                let browser = try await self.connect(to: gateway)
                try await self.subscribe(browser, "first")
                browsers.append(browser)
            }
            let count = 300
            let publisher = Task {
                for number in 0..<count {
                    try await gateway.publish("\(number)", to: "first")
                    await Task.yield()
                }
            }
            for browser in browsers {
                for round in 0..<10 {
                    try await browser.say(#"{"id":\#(10 + round),"subscribe":{"channel":"other-\#(round)"}}"#)
                    if round % 2 == 1 {
                        try await browser.say(#"{"id":\#(30 + round),"unsubscribe":{"channel":"other-\#(round - 1)"}}"#)
                    }
                }
            }
            try await publisher.value
            for browser in browsers {
                var heard: [String] = []
                var replies = 0
                while heard.count < count || replies < 15 {
                    for line in try await browser.nextText().split(separator: "\n") {
                        if line.hasPrefix("{\"push\"") { heard.append(String(line)) } else { replies += 1 }
                    }
                }
                #expect(heard == (0..<count).map { self.push("first", "\($0)") })
            }
        }
    }

    @Test func whoHasLeftHearsNothingMore() async throws {
        try await self.withClients { gateway in
            let browser = try await self.connect(to: gateway)
            try await self.subscribe(browser, "one", "two")
            try await browser.say(#"{"id":3,"unsubscribe":{"channel":"one"}}"#)
            #expect(try await browser.nextText() == #"{"id":3,"unsubscribe":{}}"#)
            try await gateway.publish("1", to: "one")
            try await gateway.publish("2", to: "two")
            #expect(try await browser.nextText() == self.push("two", "2"))
            #expect(gateway.server.context.hub.groupCount == 1)
            #expect(gateway.server.context.hub.subscriptionCount == 1)
            try await browser.send(clientFrame(8, [0x03, 0xE8]))
            while try await browser.next() != nil {}
            // Its shard has forgotten it before the connection ended.
            #expect(gateway.server.context.hub.groupCount == 0)
            #expect(gateway.server.context.hub.subscriptionCount == 0)
        }
    }

    // MARK: Times

    @Test func pingsAreJSONAndWhoAnswersNoneIsClosed() async throws {
        try await self.withClients({
            $0.session.pingInterval = 1
            $0.session.pongTimeout = 1
        }) { gateway in
            let browser = try await self.connect(to: gateway)
            try await gateway.passSeconds(1)
            #expect(try await browser.nextText() == "{}")
            // The answer to the second frame says that the gateway has had the first.
            try await browser.send(clientFrame(1, Array("{}".utf8)) + clientFrame(9, []))
            #expect(try await browser.next() == .pong(ByteBuffer()))
            try await gateway.passSeconds(2)
            #expect(try await browser.nextText() == "{}")
            try await gateway.passSeconds(1)
            #expect(try await browser.next() == .close(.noPong, reason: "no pong"))
        }
    }

    @Test func whoNeverConnectsIsStale() async throws {
        try await self.withClients { gateway in
            let browser = try await gateway.open(Self.path)
            try await gateway.passSeconds(10)
            #expect(try await browser.next() == .close(ClientDisconnect.stale.code, reason: "stale"))
        }
    }

    @Test func aStoppingGatewaySaysSo() async throws {
        try await self.withClients { gateway in
            let browser = try await self.connect(to: gateway)
            async let drained: Void = gateway.server.drain(within: .zero)
            #expect(try await browser.next() == .close(ClientDisconnect.shutdown.code, reason: "shutdown"))
            browser.close()
            await drained
        }
    }

    @Test func aGapMakesConnectionsComeBackWhereThatIsWanted() async throws {
        try await self.withClients({ $0.client?.gap = .reconnect }) { gateway in
            let browser = try await self.connect(to: gateway)
            gateway.server.context.hub.feedRestored()
            #expect(
                try await browser.next()
                    == .close(ClientDisconnect.insufficientState.code, reason: "insufficient state"))
        }
    }

    // MARK: Hostile input

    @Test(arguments: [
        ("", 3501), ("\n", 3501), ("{}\n\n{}", 3501), ("x", 3501), (#"{"id":2,"subscribe":{"channel":1}}"#, 3501),
        (#"{"id":2,"presence":{"channel":"a"}}"# + "\n\n", 3501), (#"{"send":{}}"#, 3508),
        (String(repeating: "[", count: 60_000), 3501),
        (String(repeating: #"{"id":9,"rpc":{}}"# + "\n", count: 400), 3013),
    ]) func whatTheProtocolForbidsIsClosedWithItsCode(text: String, code: Int) async throws {
        try await self.withClients { gateway in
            let browser = try await self.connect(to: gateway)
            try await browser.say(text)
            var last: WebSocketParser.Event?
            while let event = try await browser.next() { last = event }
            guard case .close(let got, _)? = last else { throw LiveBrowser.Unexpected(event: last) }
            #expect(Int(got.rawValue) == code)
        }
    }

    @Test func protobufIsRefusedForGood() async throws {
        try await self.withClients { gateway in
            let browser = try await gateway.open(Self.path)
            try await browser.send(clientFrame(2, [2, 8, 1]))
            #expect(
                try await browser.next()
                    == .close(ClientDisconnect.inappropriateProtocol.code, reason: "inappropriate protocol"))
        }
    }

    @Test func aPlainGETIsToldWhatIsWanted() async throws {
        try await self.withClients { gateway in
            let (_, head) = try await gateway.ask("GET \(Self.path) HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(head.hasPrefix("HTTP/1.1 426 "))
            let (_, stream) = try await gateway.ask(
                "GET \(Self.path) HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
            #expect(stream.hasPrefix("HTTP/1.1 426 "))
            let (_, json) = try await gateway.upgrade(Self.path, "Sec-WebSocket-Protocol: x, centrifuge-json\r\n")
            #expect(json.contains("Sec-WebSocket-Protocol: centrifuge-json\r\n"))
        }
    }

    @Test func mutatedFramesEndTheirOwnConnectionAtMost() async throws {
        try await self.withClients { gateway in
            let good = try await self.connect(to: gateway)
            try await self.subscribe(good, "news")
            let commands = ClientCommandTests.good.map(\.0)
            var mutator = Mutator(
                corpus: (commands + [commands.joined(separator: "\n")]).map { Array($0.utf8) },
                interesting: Array("{}[]\",:\n\\0123456789".utf8), seed: 7)
            for round in 0..<150 {
                let browser = try await self.connect(to: gateway)
                for _ in 0..<3 { try? await browser.send(clientFrame(1, mutator.next())) }
                try? await browser.send(clientFrame(8, [0x03, 0xE8]))
                while try await browser.next() != nil {}
                browser.close()
                guard round % 50 == 0 else { continue }
                try await gateway.publish("\(round)", to: "news")
                while try await good.nextText() != self.push("news", "\(round)") {}
            }
        }
    }
}

extension LiveBrowser {
    func say(_ text: String) async throws { try await self.send(clientFrame(1, Array(text.utf8))) }
}
