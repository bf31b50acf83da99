import ChannelLayer
import ClientWire
import JSON
import NIOCore
import SwiftProtobuf
import TestSupport
import Testing

@testable import Gateway

/// Whatever a browser says in the client protocol gets the protocol's answer, harms nobody else, and leaves nothing behind.
/// In a channel where everything is allowed, so that nothing is refused before it is looked at.
@Suite(.timeLimit(.minutes(2))) struct ClientHostileTests {
    private func withClients(
        on layer: any ChannelLayer = MemoryLayer(),
        _ change: @escaping (inout GatewayConfiguration) -> Void = { _ in },
        _ body: (LiveGateway) async throws -> Void
    ) async throws {
        try await withGateway(
            {
                $0.session.messageRate = RateLimit(perSecond: 1_000_000, burst: 1_000_000)
                var client = ClientConfiguration()
                client.isInsecure = true
                var open = ChannelOptions()
                open.historySize = 10
                open.historyTime = 60
                open.forceRecovery = true
                open.presence = true
                open.joinLeave = true
                open.allowedDeltaTypes = [.fossil]
                open.allowTagsFilter = true
                open.allowChannelCompaction = true
                client.namespaces = ChannelNamespaces(withoutNamespace: open, [("quiet", ChannelOptions())])
                $0.client = client
                change(&$0)
            }, layer: layer
        ) { gateway in
            let bystander = try await ClientLines.connected(to: gateway)
            try await bystander.say(#"{"id":2,"subscribe":{"channel":"quiet:1"}}"#)
            #expect(try await bystander.nextText() == #"{"id":2,"subscribe":{}}"#)
            try await body(gateway)
            try await gateway.publish("7", to: ClientChannel("quiet:1").group.text)
            #expect(try await bystander.nextText() == #"{"push":{"channel":"quiet:1","pub":{"data":7}}}"#)
            bystander.browser.close()
            // All that was followed is left, and nobody is present any more.
            while gateway.server.context.census.connections > 0 { await Task.yield() }
            while gateway.server.context.hub.subscriptionCount > 0 { await Task.yield() }
            #expect(gateway.server.context.hub.groupCount == 0)
        }
    }

    // MARK: Wrong types, huge numbers, deep JSON

    /// Every command with all its fields.
    private static let commands: [(name: String, fields: [(String, String)])] = [
        (
            "connect",
            [
                ("token", "\"\""), ("data", "{}"), ("name", #""js""#), ("version", #""1""#), ("flag", "0"),
                ("headers", #"{"a":"b"}"#), ("subs", #"{"a":{"recover":true,"offset":1,"epoch":"e"}}"#),
            ]
        ),
        (
            "subscribe",
            [
                ("channel", #""news""#), ("token", "\"\""), ("recover", "true"), ("epoch", #""e""#), ("offset", "1"),
                ("data", "1"), ("positioned", "true"), ("recoverable", "true"), ("join_leave", "true"),
                ("delta", #""fossil""#), ("tf", #"{"key":"a","cmp":"eq","val":"b"}"#), ("flag", "1"), ("type", "0"),
            ]
        ),
        ("unsubscribe", [("channel", #""news""#)]),
        ("publish", [("channel", #""news""#), ("data", #"{"a":1}"#)]),
        ("presence", [("channel", #""news""#)]),
        ("presence_stats", [("channel", #""news""#)]),
        (
            "history",
            [("channel", #""news""#), ("limit", "5"), ("since", #"{"offset":1,"epoch":""}"#), ("reverse", "true")]
        ),
        ("rpc", [("method", #""m""#), ("data", "1")]),
        ("send", [("data", "1")]),
        ("refresh", [("token", #""t""#)]),
        ("sub_refresh", [("channel", #""news""#), ("token", #""t""#)]),
    ]

    private static let values = [
        "null", "true", "false", "0", "-1", "1.5", "1e999", "-0", "2147483648", "4294967296", "9223372036854775808",
        "18446744073709551615", "18446744073709551616", "99999999999999999999999999", "\"\"",
        #""18446744073709551615""#,
        #""\u0000""#, #""żółw 🐢""#, #""a b""#, #""carillon.control""#, #""x:y#z,1""#, "[]", "{}", #"[{"a":[1]}]"#,
        #"{"a":{"b":{}}}"#, #"{"a":1,"a":"x"}"#, #"{"offset":-1}"#, #"{"offset":18446744073709551615,"epoch":"e"}"#,
        #"{"op":"and","nodes":[]}"#,
        #"{"key":"a","cmp":"in","vals":["#
            + Array(repeating: #""v""#, count: 300).joined(separator: ",") + "]}",
        "\"" + String(repeating: "x", count: 3_000) + "\"",
        String(repeating: "[", count: 60) + String(repeating: "]", count: 60),
        String(repeating: #"{"nodes":["#, count: 25) + String(repeating: "]}", count: 25),
        String(repeating: "[", count: 200) + String(repeating: "]", count: 200),
    ]

    /// Codes that the protocol has for what a client did wrong.
    private static let closes: Set<Int> = [3500, 3501, 3505, 3507, 3508]

    @Test(arguments: Self.commands.map { $0.name }) func everyFieldMayBeAnything(name: String) async throws {
        try await self.withClients { gateway in
            let fields = try #require(Self.commands.first { $0.name == name }?.fields)
            var lines: ClientLines?
            var id = 10
            var answers: [Bool: Int] = [:]
            for wrong in fields.indices {
                for value in Self.values {
                    id += 1
                    let members = fields.indices.map { #""\#(fields[$0].0)":\#($0 == wrong ? value : fields[$0].1)"# }
                    let command = #"{"id":\#(id),"\#(name)":{\#(members.joined(separator: ","))}}"#
                    if lines == nil || name == "connect" {
                        lines?.browser.close()
                        let browser = try await gateway.open(ClientLines.path)
                        lines = ClientLines(browser)
                        if name != "connect" { try await lines?.say(#"{"id":1,"connect":{}}"#) }
                    }
                    guard let speaker = lines else { continue }
                    // What it did to itself must not be in the way of the next one.
                    if name == "subscribe" {
                        try await speaker.say(#"{"id":2,"unsubscribe":{"channel":"news"}}"#)
                    }
                    try await speaker.say(command)
                    let answer = try await speaker.answer(id)
                    switch answer {
                    case .reply: break
                    case .error(let code): #expect((100...112).contains(code), "\(command)")
                    case .closed(let code):
                        #expect(Self.closes.contains(code), "\(command): \(code)")
                        lines = nil
                    }
                    answers[answer == .reply, default: 0] += 1
                }
            }
            lines?.browser.close()
            // Both happened, or the test tests nothing; these are never carried out here.
            let isNever = ["rpc", "send", "refresh", "sub_refresh"].contains(name)
            #expect((answers[true, default: 0] > 0) != isNever && answers[false, default: 0] > 0)
        }
    }

    @Test(arguments: [
        (#"{"id":4294967296,"rpc":{}}"#, 3501), (#"{"id":-1,"rpc":{}}"#, 3501), (#"{"id":1e1,"rpc":{}}"#, 3501),
        (#"{"id":"1","rpc":{}}"#, 3501), (#"{"id":[],"rpc":{}}"#, 3501), (#"{"rpc":{}}"#, 3501), (#"{"id":7}"#, 3501),
        (#"{"id":7,"presence":[]}"#, 3501), (#"{"id":7,"presence":"news"}"#, 3501), (#"{"id":7,"ping":{}}"#, 3501),
        (#"{"id":7,"connect":{}}"#, 3501), ("[]", 3501), ("7", 3501), ("\u{1F422}", 3501), ("{}", 3501),
        (#"{"id":7,"rpc":{}}{"id":8,"rpc":{}}"#, 3501), (#"{"id":7,"rpc":{}}"# + "\n\n" + #"{"id":8,"rpc":{}}"#, 3501),
        (
            #"{"id":7,"subscribe":{"channel":"news","tf":"# + String(repeating: #"{"op":"not","nodes":["#, count: 40)
                + #"{"key":"a","cmp":"ex"}"# + String(repeating: "]}", count: 40) + "}}", 3501
        ),
        // One more than fit into a frame that is not too large.
        (String(repeating: "x", count: 65_537), 1009),
    ]) func whatIsNoCommandEndsTheConnection(text: String, code: Int) async throws {
        try await self.withClients { gateway in
            let lines = try await ClientLines.connected(to: gateway)
            try await lines.say(text)
            #expect(try await lines.close() == code)
        }
    }

    // MARK: Names

    @Test(arguments: [
        ("", 102), ("ns:x", 102), (":", 102), ("a b", 107), ("a\\u0000", 107), ("żółw", 107), ("carillon.control", 107),
        ("carillon.channel.x", 107), (String(repeating: "x", count: 100), 107),
        (String(repeating: "x", count: 256), 107),
        (String(repeating: "x", count: 60_000), 107), (String(repeating: "#", count: 40), 107), ("$x", 103),
    ]) func aNameThatCannotBeIsAnErrorInEveryCommand(name: String, code: Int) async throws {
        try await self.withClients { gateway in
            let lines = try await ClientLines.connected(to: gateway)
            for (id, command) in ["subscribe", "publish", "presence", "presence_stats", "history"].enumerated() {
                try await lines.say(#"{"id":\#(id + 10),"\#(command)":{"channel":"\#(name)","data":1}}"#)
                let answer = try await lines.answer(id + 10)
                // Who may do everything may not only subscribe to a private channel.
                #expect(
                    answer == .error(code) || code == 103 && command != "subscribe" && answer == .reply, "\(command)")
            }
            #expect(gateway.server.context.hub.groupCount == 1)
            for name in [String(repeating: "y", count: 99), String(repeating: "#", count: 27)] {
                try await lines.say(#"{"id":20,"subscribe":{"channel":"\#(name)"}}"#)
                #expect(try await lines.answer(20) == .reply)
                try await lines.say(#"{"id":21,"unsubscribe":{"channel":"\#(name)"}}"#)
                #expect(try await lines.answer(21) == .reply)
            }
            lines.browser.close()
        }
    }

    // MARK: Floods

    /// While one command waits for the layer, others may wait; but not any number of them.
    @Test(arguments: [
        (Array(repeating: #"{"id":9,"rpc":{}}"#, count: 300)),
        (Array(repeating: #"{"id":9,"rpc":{"data":""# + String(repeating: "x", count: 60_000) + #""}}"#, count: 6)),
    ]) func whoSaysMoreThanCanWaitIsClosed(flood: [String]) async throws {
        let layer = BrokenLayer()
        try await self.withClients(on: layer) { gateway in
            let lines = try await ClientLines.connected(to: gateway)
            layer.holdFollowing()
            try await lines.say(#"{"id":3,"subscribe":{"channel":"quiet:2"}}"#)
            for text in flood { try? await lines.say(text) }
            #expect(try await lines.close() == 3013)
            layer.goOnFollowing()
        }
    }

    @Test func tenThousandSubscriptionsInProtobufAreBoundedAndLeftAtOnce() async throws {
        try await self.withClients({ $0.client?.channelLimit = 10_000 }) { gateway in
            let browser = try await ProtobufBrowser.connected(to: gateway)
            for batch in 0..<50 {
                var frame: [UInt8] = []
                for number in 0..<200 {
                    var command = WireCommand()
                    command.id = UInt32(batch * 200 + number + 2)
                    command.subscribe.channel = "kept-\(batch * 200 + number)"
                    frame += try ProtobufBrowser.frame(command)
                }
                try await browser.browser.send(clientFrame(2, frame))
                while try await browser.next().id != UInt32(batch * 200 + 201) {}
            }
            #expect(gateway.server.context.hub.subscriptionCount == 10_001)
            var command = WireCommand()
            command.id = 20_000
            command.subscribe.channel = "one-more"
            try await browser.say(command)
            #expect(try await browser.next().error.code == 106)
            browser.browser.close()
        }
    }

    @Test func tenThousandChannelsAtConnectAreTooMany() throws {
        var line = ProtocolLine(isUnidirectional: true)
        let channels = (0..<10_000).map { #""c\#($0)":{}"# }.joined(separator: ",")
        #expect(try line.say(#"{"id":1,"connect":{"subs":{\#(channels)}}}"#) == ["end 3505"])
    }

    // MARK: Mutations

    @Test func mutatedProtobufEndsItsOwnConnectionAtMost() async throws {
        let frames = try ClientProtobufTests.lines.map(ClientProtobufTests.frame)
        try await self.withClients { gateway in
            var mutator = Mutator(
                corpus: frames + [Array(frames.joined())],
                interesting: [0, 1, 2, 0x08, 0x0A, 0x12, 0x22, 0x2A, 0x7F, 0x80, 0xFF], seed: 9)
            for _ in 0..<150 {
                let browser = try await ProtobufBrowser.connected(to: gateway).browser
                for _ in 0..<3 { try? await browser.send(clientFrame(2, mutator.next())) }
                try? await browser.send(clientFrame(8, [0x03, 0xE8]))
                while let event = try await browser.next() {
                    guard case .close(let code, _) = event else { continue }
                    #expect(code == .normal || Self.closes.contains(Int(code.rawValue)), "\(code)")
                }
                browser.close()
            }
        }
    }
}

private enum Answer: Equatable {
    case reply
    case error(Int)
    case closed(Int)
}

extension ClientLines {
    /// What a command is answered with: its reply, or the code with which the connection was closed.
    fileprivate func answer(_ id: Int) async throws -> Answer {
        do {
            while true {
                let line = try await self.nextText()
                if line.hasPrefix(#"{"id":\#(id),"error":{"code":"#) {
                    return .error(Int(line.dropFirst(#"{"id":\#(id),"error":{"code":"#.count).prefix(3)) ?? 0)
                }
                if line.hasPrefix(#"{"id":\#(id),"#) { return .reply }
                // What others do, and what was asked before.
                guard line.hasPrefix(#"{"push":"#) || line.hasPrefix(#"{"id":"#) else {
                    throw LiveBrowser.Unexpected(event: .text(line))
                }
            }
        } catch let error as LiveBrowser.Unexpected {
            guard case .close(let code, _)? = error.event else { throw error }
            return .closed(Int(code.rawValue))
        }
    }

    /// The code with which the connection was closed, whatever came before.
    fileprivate func close() async throws -> Int? {
        while let event = try await self.browser.next() {
            if case .close(let code, _) = event { return Int(code.rawValue) }
        }
        return nil
    }
}
