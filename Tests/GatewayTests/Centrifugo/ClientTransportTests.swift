import ChannelLayer
import ClientWire
import JSON
import NIOCore
import SwiftProtobuf
import TestSupport
import Testing

@testable import Gateway

/// The transports beside WebSocket, over real sockets.
@Suite(.timeLimit(.minutes(1))) struct ClientTransportTests {
    private func withClients(
        loops: Int = 2, layer: any ChannelLayer = MemoryLayer(),
        _ change: @escaping (inout GatewayConfiguration) -> Void = { _ in }, _ body: (LiveGateway) async throws -> Void
    ) async throws {
        try await withGateway(
            {
                var client = ClientConfiguration()
                client.allowsAnonymous = true
                client.transports = Set(ClientPath.allCases).subtracting([.emulation])
                var open = ChannelOptions()
                open.allowSubscribeForClient = true
                open.allowSubscribeForAnonymous = true
                open.publishing.forSubscriber = true
                client.namespaces = ChannelNamespaces(withoutNamespace: open)
                $0.client = client
                change(&$0)
            }, layer: layer, loops: loops
        ) { gateway in
            try await body(gateway)
        }
    }

    private func post(_ path: String, _ body: String, fields: String = "") -> String {
        "POST /channels/\(path) HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)"
    }

    /// A stream after its `connect`, and what it is to be called in requests.
    private struct Stream {
        let browser: LiveBrowser
        let session: String
        let node: String
        let isEvents: Bool

        func next() async throws -> String? {
            guard isEvents else { return try await self.browser.line() }
            guard let block = try await self.browser.block() else { return nil }
            #expect(block.hasPrefix("data: "))
            return String(block.dropFirst(6))
        }
    }

    private func field(_ text: String, _ path: String...) throws -> String {
        var json = try JSONText(validating: ByteBuffer(string: text))
        for key in path { json = try #require(json.field(key), "\(text)") }
        return json.stringValue ?? String(buffer: json.bytes)
    }

    private func open(_ gateway: LiveGateway, events: Bool) async throws -> Stream {
        let connect = #"{"id":1,"connect":{}}"#
        let request =
            events
            ? "GET /channels/connection/sse?cf_connect=%7B%22id%22%3A1%2C%22connect%22%3A%7B%7D%7D HTTP/1.1\r\n"
                + "Host: a\r\nOrigin: http://a\r\n\r\n"
            : self.post("connection/http_stream", connect, fields: "Origin: http://a\r\n")
        let (browser, head) = try await gateway.ask(request)
        #expect(
            head.hasPrefix("HTTP/1.1 200 ") && head.contains("\r\nAccess-Control-Allow-Origin: http://a\r\n"), "\(head)"
        )
        #expect(head.contains("\r\nX-Accel-Buffering: no\r\n"))
        if events { #expect(await browser.raw(2) == [13, 10]) }
        var stream = Stream(browser: browser, session: "", node: "", isEvents: events)
        let connected = try #require(try await stream.next())
        stream = Stream(
            browser: browser, session: try self.field(connected, "connect", "session"),
            node: try self.field(connected, "connect", "node"), isEvents: events)
        return stream
    }

    private func say(_ gateway: LiveGateway, _ stream: Stream, _ commands: String, status: Int = 204) async throws {
        var body = ByteBuffer()
        body.writeString(#"{"session":"\#(stream.session)","node":"\#(stream.node)","data":"#)
        body.writeJSONString(commands)
        body.writeString("}")
        let (browser, head) = try await gateway.ask(self.post("emulation", String(buffer: body)))
        #expect(head.hasPrefix("HTTP/1.1 \(status) "), "\(head)")
        browser.close()
    }

    // MARK: Streams

    @Test(arguments: [false, true]) func aStreamIsSpokenToByRequestsOfItsOwn(events: Bool) async throws {
        try await self.withClients { gateway in
            let stream = try await self.open(gateway, events: events)
            try await self.say(
                gateway, stream,
                #"{"id":2,"subscribe":{"channel":"news"}}"# + "\n" + #"{"id":3,"subscribe":{"channel":"more"}}"#)
            #expect(try await stream.next() == #"{"id":2,"subscribe":{}}"#)
            #expect(try await stream.next() == #"{"id":3,"subscribe":{}}"#)
            try await gateway.publish("1", to: "news")
            #expect(try await stream.next() == #"{"push":{"channel":"news","pub":{"data":1}}}"#)
            try await self.say(gateway, stream, #"{"id":4,"publish":{"channel":"more","data":"x"}}"#)
            let next = [try await stream.next(), try await stream.next()].compactMap { $0 }
            #expect(next.contains(#"{"id":4,"publish":{}}"#) && next.contains { $0.contains(#""pub":{"data":"x""#) })
            // What it may not say ends it, with the reason as a push.
            try await self.say(gateway, stream, "x")
            #expect(try await stream.next() == #"{"push":{"disconnect":{"code":3501,"reason":"bad request"}}}"#)
            #expect(try await stream.next() == nil)
            // Now it is nobody's, which is no error.
            try await self.say(gateway, stream, #"{"id":5,"publish":{"channel":"more","data":"x"}}"#)
        }
    }

    @Test func aStreamThatIsLeftIsForgottenAtOnce() async throws {
        try await self.withClients { gateway in
            let stream = try await self.open(gateway, events: false)
            try await self.say(gateway, stream, #"{"id":2,"subscribe":{"channel":"news"}}"#)
            #expect(try await stream.next() == #"{"id":2,"subscribe":{}}"#)
            #expect(gateway.server.context.hub.subscriptionCount == 1)
            try await stream.browser.endOutput()
            // The gateway closes its side when the other is gone.
            _ = try await stream.browser.rest()
            // No second has to pass for that; the loop comes by.
            while gateway.server.context.hub.subscriptionCount > 0 { await Task.yield() }
        }
    }

    @Test(arguments: [false, true]) func pongsComeByRequestsToo(events: Bool) async throws {
        try await self.withClients({
            $0.session.pingInterval = 1
            $0.session.pongTimeout = 1
        }) { gateway in
            let stream = try await self.open(gateway, events: events)
            try await gateway.passSeconds(1)
            #expect(try await stream.next() == "{}")
            try await self.say(gateway, stream, "{}\n" + #"{"id":2,"subscribe":{"channel":"news"}}"#)
            #expect(try await stream.next() == #"{"id":2,"subscribe":{}}"#)
            try await gateway.passSeconds(2)
            #expect(try await stream.next() == "{}")
            try await gateway.passSeconds(1)
            #expect(try await stream.next() == #"{"push":{"disconnect":{"code":3012,"reason":"no pong"}}}"#)
        }
    }

    @Test func aRequestMayReachAnotherGateway() async throws {
        let layer = MemoryLayer()
        try await self.withClients(layer: layer) { one in
            try await self.withClients(layer: layer) { two in
                let stream = try await self.open(one, events: false)
                // Gateways hear each other as soon as the layer lets them.
                while one.server.context.hub.hearsControl == false { await Task.yield() }
                try await self.say(two, stream, #"{"id":2,"subscribe":{"channel":"news"}}"#)
                #expect(try await stream.next() == #"{"id":2,"subscribe":{}}"#)
            }
        }
    }

    @Test func protobufIsSpokenOverStreamsToo() async throws {
        try await self.withClients { gateway in
            let browser = try await gateway.connect()
            var connect = WireCommand()
            connect.id = 1
            connect.connect = WireConnectRequest()
            let bytes: [UInt8] = try connect.serializedBytes()
            try await browser.send(
                Array(
                    ("POST /channels/connection/http_stream HTTP/1.1\r\nHost: a\r\nContent-Length: \(bytes.count + 1)\r\n"
                        + "Content-Type: application/octet-stream\r\n\r\n").utf8) + [UInt8(bytes.count)] + bytes)
            #expect(try await browser.head().contains("\r\nContent-Type: application/octet-stream\r\n"))
            let reply = try WireReply(serializedBytes: await browser.raw(Int(await browser.raw(1)[0])))
            #expect(reply.id == 1 && !reply.connect.session.isEmpty && !reply.connect.node.isEmpty)

            var said = WireEmulationRequest()
            said.session = reply.connect.session
            said.node = reply.connect.node
            var subscribe = WireCommand()
            subscribe.id = 2
            subscribe.subscribe.channel = "news"
            let command: [UInt8] = try subscribe.serializedBytes()
            said.data.append(contentsOf: [UInt8(command.count)] + command)
            let body: [UInt8] = try said.serializedBytes()
            let other = try await gateway.connect()
            try await other.send(
                Array(
                    ("POST /channels/emulation HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n"
                        + "Content-Type: application/octet-stream\r\n\r\n").utf8) + body)
            #expect(try await other.head().hasPrefix("HTTP/1.1 204 "))
            let second = try WireReply(serializedBytes: await browser.raw(Int(await browser.raw(1)[0])))
            #expect(second.id == 2 && second.hasSubscribe)
        }
    }

    @Test func requestsThatCannotBeAreRefused() async throws {
        try await self.withClients { gateway in
            let long = String(repeating: "x", count: 70_000)
            let node = gateway.server.context.control.node
            for (request, status) in [
                ("GET /channels/connection/http_stream HTTP/1.1\r\nHost: a\r\n\r\n", 405),
                ("PUT /channels/emulation HTTP/1.1\r\nHost: a\r\n\r\n", 405),
                (self.post("connection/http_stream", long), 413), (self.post("emulation", long), 413),
                (self.post("emulation", "{"), 400), (self.post("emulation", "{}"), 400),
                (self.post("emulation", #"{"session":"s","node":"\#(node)"}"#), 400),
                (self.post("emulation", #"{"session":"s","node":"n","data":"{}"}"#), 404),
                (self.post("emulation", #"{"session":"s","node":"\#(node)","data":"{}"}"#), 204),
                (self.post("emulation", #"{"session":"s","node":"0123456789abcdef","data":"{}"}"#), 204),
                (self.post("emulation", "{}", fields: "Origin: http://b\r\n"), 403),
                (self.post("connection/http_stream", "{}", fields: "Origin: http://b\r\n"), 403),
                ("GET /channels/connection/sse HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\r\n", 403),
                ("GET /channels/connection/websocket HTTP/1.1\r\nHost: a\r\n\r\n", 426),
                ("GET /channels/connection/init HTTP/1.1\r\nHost: a\r\n\r\n", 200),
            ] {
                let (browser, head) = try await gateway.ask(request)
                #expect(head.hasPrefix("HTTP/1.1 \(status) "), "\(request.prefix(100)): \(head)")
                if status == 204 { #expect(!head.contains("Content-Length")) }
                browser.close()
            }
        }
    }

    @Test func pagesOfOtherOriginsAskBefore() async throws {
        try await self.withClients({ $0.client?.origins = try? OriginCheck(allowing: ["https://b"]) }) { gateway in
            let fields = "Host: a\r\nOrigin: https://b\r\nAccess-Control-Request-Headers: content-type\r\n\r\n"
            let (browser, head) = try await gateway.ask("OPTIONS /channels/emulation HTTP/1.1\r\n" + fields)
            #expect(head.hasPrefix("HTTP/1.1 204 "))
            for field in [
                "Access-Control-Allow-Origin: https://b", "Access-Control-Allow-Credentials: true",
                "Access-Control-Allow-Headers: content-type", "Access-Control-Allow-Methods: POST, OPTIONS",
                "Access-Control-Max-Age: 300",
            ] { #expect(head.contains("\r\n\(field)\r\n"), "\(head)") }
            browser.close()
        }
    }

    // MARK: Streams that only tell

    @Test(arguments: [true, false]) func aUnidirectionalStreamTellsWithoutBeingAsked(events: Bool) async throws {
        try await self.withClients({ $0.session.pingInterval = 1 }) { gateway in
            let request =
                events
                ? "GET /channels/connection/uni_sse?cf_connect=%7B%7D HTTP/1.1\r\nHost: a\r\n\r\n"
                : self.post("connection/uni_http_stream", "")
            let (browser, head) = try await gateway.ask(request)
            #expect(head.hasPrefix("HTTP/1.1 200 "))
            if events { #expect(await browser.raw(2) == [13, 10]) }
            let stream = Stream(browser: browser, session: "", node: "", isEvents: events)
            let connected = try #require(try await stream.next())
            #expect(try self.field(connected, "connect", "version") == "carillon")
            #expect(try self.field(connected, "connect", "ping") == "1" && !connected.contains("pong"))
            #expect(!(try self.field(connected, "connect", "session").isEmpty) && !connected.contains("node"))
            for _ in 0..<3 {
                try await gateway.passSeconds(1)
                #expect(try await stream.next() == "{}")
            }
            async let drained: Void = gateway.server.drain(within: .zero)
            #expect(try await stream.next() == #"{"disconnect":{"code":3001,"reason":"shutdown"}}"#)
            #expect(try await stream.next() == nil)
            await drained
        }
    }

    @Test func aUnidirectionalWebSocketSaysWhoItIsOnce() async throws {
        try await self.withClients { gateway in
            let browser = try await gateway.open("/channels/connection/uni_websocket")
            try await browser.say(#"{"name":"x","subs":{"news":{}}}"#)
            #expect(try await browser.nextText().hasPrefix(#"{"connect":{"client":"#))
            try await browser.say("whatever")
            try await browser.send(clientFrame(9, []))
            #expect(try await browser.next() == .pong(ByteBuffer()))
            let refused = try await gateway.open(
                "/channels/connection/uni_websocket?cf_connect=%7B%22token%22%3A%22x%22%7D")
            #expect(try await refused.nextText() == #"{"disconnect":{"code":3500,"reason":"invalid token"}}"#)
            #expect(try await refused.next() == .close(ClientDisconnect.invalidToken.code, reason: "invalid token"))
        }
    }

    @Test func pingsMayBeWebSocketsOwn() async throws {
        try await self.withClients({ $0.session.pingInterval = 1 }) { gateway in
            let browser = try await gateway.open("/channels/connection/websocket?cf_ws_frame_ping_pong=true")
            try await browser.say(#"{"id":1,"connect":{}}"#)
            #expect(!(try await browser.nextText().contains("ping")))
            try await gateway.passSeconds(1)
            #expect(try await browser.next() == .ping(ByteBuffer()))
        }
    }

    @Test func onlyWhatTheSettingsNameIsThere() async throws {
        try await self.withClients({ $0.client?.transports = [.webSocket] }) { gateway in
            for path in ["connection/http_stream", "connection/sse", "connection/init", "emulation"] {
                let (browser, head) = try await gateway.ask(self.post(path, "{}"))
                #expect(head.hasPrefix("HTTP/1.1 404 "))
                browser.close()
            }
        }
    }
}

@Suite struct EmulatedCommandsTests {
    @Test func linesAreATextOrOneCommandAsItStands() throws {
        let text = #"{"session":"s","node":"n","data":"{\"id\":1}\n{}"}"#
        let said = try #require(EmulatedCommands(ByteBuffer(string: text), isProtobuf: false))
        #expect(said.session == "s" && said.node == "n" && String(buffer: said.data) == "{\"id\":1}\n{}")
        let bare = EmulatedCommands(ByteBuffer(string: #"{"session":"s","data":{"id":1}}"#), isProtobuf: false)
        #expect(bare.map { String(buffer: $0.data) } == #"{"id":1}"#)
        let message = LayerMessage(entries: said.entries)
        #expect(EmulatedCommands(message)?.data == said.data)
        #expect(EmulatedCommands(["session": "s"]) == nil)
    }

    @Test(arguments: [false, true]) func brokenRequestsAreReadOrRefused(isProtobuf: Bool) throws {
        var wire = WireEmulationRequest()
        wire.session = "session"
        wire.node = "node"
        wire.data.append(contentsOf: [1, 2, 3])
        let json = #"{"session":"s","node":"n","data":"{\"id\":1}\n{}"}"#
        var mutator = Mutator(
            corpus: isProtobuf ? [try wire.serializedBytes()] : [Array(json.utf8)],
            interesting: Array("{}[]\",:\\ntf".utf8), seed: 8)
        var taken = 0
        for _ in 0..<5_000
        where EmulatedCommands(ByteBuffer(bytes: mutator.next()), isProtobuf: isProtobuf) != nil { taken += 1 }
        #expect(taken > 50, "the mutator breaks nearly everything; it tests nothing then")
    }
}
