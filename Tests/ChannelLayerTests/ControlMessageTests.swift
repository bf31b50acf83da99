import JSON
import NIOCore
import TestSupport
import Testing

@testable import ChannelLayer

@Suite struct ControlMessageTests {
    private static let all: [ControlMessage] = {
        let one = ConnectionSelector(user: "42", client: "c-1", session: "s-1")
        var subscription = ServerSubscription(channel: "chat:7")
        subscription.info = ByteBuffer(string: #"{"role": "mod"}"#)
        subscription.data = ByteBuffer(string: "[1,  2.50]")
        subscription.expires = 1_767_225_600
        subscription.since = (.max, "kPzq")
        subscription.override = ByteBuffer(string: #"{"presence":{"value":true}}"#)
        var refresh = ConnectionRefresh()
        (refresh.isExpired, refresh.expires, refresh.info) = (true, 100, ByteBuffer(string: "null"))
        var state = NodeState(uid: "u", name: "host_8000", version: "1.0.0")
        (state.clients, state.users, state.channels, state.subscriptions, state.uptime) = (5, 4, 3, 2, 1)
        let channel = ChannelName(unchecked: "specific.abc!def")
        return [
            .command(.subscribe(one, subscription)),
            .command(.subscribe(ConnectionSelector(user: ""), ServerSubscription(channel: "news"))),
            .command(.unsubscribe(one, channel: "")), .command(.unsubscribe(one, channel: "news")),
            .command(.disconnect(one, sparing: ["c-2", "c-3"], code: 4_000, reason: "bye")),
            .command(.disconnect(ConnectionSelector(user: "é"), sparing: [], code: 3_503, reason: "")),
            .command(.refresh(one, refresh)), .command(.refresh(one, ConnectionRefresh())),
            .ask(id: 1, replyTo: channel, .node), .ask(id: .max, replyTo: channel, .channels(pattern: "chat:*")),
            .ask(id: 0, replyTo: channel, .connections(user: nil)),
            .ask(id: 0, replyTo: channel, .connections(user: "")),
            .ask(id: 7, replyTo: channel, .presence(channel: "news")),
            .answer(id: 1, node: "n", .node(state)), .answer(id: 1, node: "n", .channels(["a": 1, "b:c": 2])),
            .answer(id: 1, node: "n", .channels([:])),
            .answer(id: 1, node: "n", .clients(["c-1": ByteBuffer(string: #"{"user":"42"}"#)])),
            .announce(state), .leave(node: "n"),
        ]
    }()

    @Test(arguments: all) func eachIsReadAsItWasWrittenByEverySerializer(_ message: ControlMessage) throws {
        #expect(ControlMessage(message.message) == message)
        #expect(try ControlMessage(LayerMessage(messagePack: encoded(message.message))) == message)
        var json = ByteBuffer()
        try message.message.encodeJSON(into: &json)
        #expect(try ControlMessage(LayerMessage(json: json)) == message)
    }

    @Test func whatIsNoneIsPassedOver() {
        #expect(ControlMessage(LayerMessage()) == nil)
        #expect(ControlMessage(["type": .string("carillon.publication"), "command": .string("leave")]) == nil)
        func control(_ entries: (String, LayerValue)...) -> ControlMessage? {
            var message: LayerMessage = ["type": .string(ControlMessage.type)]
            for (key, value) in entries { message.append(key, value) }
            return ControlMessage(message)
        }
        #expect(control() == nil)
        #expect(control(("command", .string("of a later version"))) == nil)
        #expect(control(("command", .int(1))) == nil)
        #expect(control(("command", .string("leave"))) == nil)
        #expect(control(("command", .string("disconnect")), ("user", .int(42))) == nil)
        #expect(control(("command", .string("disconnect")), ("code", .int(65_536))) == nil)
        #expect(control(("command", .string("disconnect")), ("code", .int(-1))) == nil)
        #expect(control(("command", .string("disconnect")), ("whitelist", .array([.null]))) == nil)
        #expect(control(("command", .string("subscribe")), ("user", .string("42"))) == nil, "a channel is wanted")
        #expect(control(("command", .string("subscribe")), ("channel", .string("a")), ("info", .string("{"))) == nil)
        #expect(
            control(("command", .string("subscribe")), ("channel", .string("a")), ("override", .string("1"))) == nil)
        let long = String(repeating: "x", count: ControlFields.textLimit + 1)
        #expect(control(("command", .string("unsubscribe")), ("user", .string(long))) == nil)
        let ask: [(String, LayerValue)] = [("command", .string("ask")), ("question", .string("node"))]
        #expect(control(ask[0], ask[1]) == nil)
        #expect(control(ask[0], ask[1], ("reply_to", .string("shared"))) == nil, "others read that channel")
        #expect(control(ask[0], ask[1], ("reply_to", .string("a b!c"))) == nil)
        #expect(control(ask[0], ask[1], ("reply_to", .string("a!c"))) != nil)
    }

    @Test func noMutationTraps() throws {
        var random = SeededGenerator(seed: 11)
        let values: [LayerValue] = [
            .null, .bool(true), .int(.min), .int(.max), .uint(.max), .double(.nan), .string("x"), .string(""),
            .bytes(ByteBuffer(bytes: [0xFF])), .array([.int(1)]), .map([.init(key: .int(1), value: .null)]),
            .string(String(repeating: "[", count: 200)),
        ]
        for _ in 0..<5_000 {
            guard var message = Self.all.randomElement(using: &random)?.message else { continue }
            for index in message.entries.indices where Int.random(in: 0..<3, using: &random) == 0 {
                message.entries[index].value = values.randomElement(using: &random) ?? .null
            }
            _ = ControlMessage(message)
        }
    }

    @Test func noBrowserCanFollowThem() {
        #expect(throws: LayerError.self) { try ClientChannel(ControlMessage.group.text) }
    }
}
