import ChannelLayer
import HTTP1
import JSON
import NIOCore
import TestSupport
import Testing

@testable import Gateway

@Suite struct SnapshotTests {
    private static func snapshot(_ receiver: Receiver = .drop) -> SessionSnapshot {
        SessionSnapshot(
            route: "/channels/groups/{name}", wire: .webSocketDeflate(windowBits: 12),
            groups: [GroupName(unchecked: "a"), GroupName(unchecked: "b-1")], receiver: receiver, user: "7",
            address: "2001:db8::1", isCounted: true, handshake: nil, silence: 3, beat: 12, awaitsPong: true,
            hasAnswered: false, rate: 1 << 40, input: ByteBuffer(bytes: [0x81]),
            parser: WebSocketParser(messageLimit: 10).snapshot, introducedName: "a-1", client: nil)
    }

    private static var receivers: [Receiver] {
        let group = GroupName(unchecked: "talk")
        return [
            .drop, .echo, .worker(target: "/said"), .layer(ChannelName(unchecked: "websocket")),
            .group(group, form: .publication, requiredKey: nil),
            .group(group, form: .message(type: "chat.said", key: "text"), requiredKey: "text"),
        ]
    }

    @Test(arguments: receivers) func aSessionIsWhatItWasOnTheOtherSide(receiver: Receiver) throws {
        let snapshot = Self.snapshot(receiver)
        #expect(try SessionSnapshot(decoding: snapshot.encoded()) == snapshot)
    }

    private static var client: ClientSnapshot {
        var credentials = ClientCredentials()
        credentials.user = "ann"
        credentials.info = .json(JSONText(unchecked: ByteBuffer(string: #"{"name":"Ann"}"#)))
        credentials.meta = JSONText(unchecked: ByteBuffer(string: "[1]"))
        credentials.expires = 1 << 40
        credentials.channels = ["a": SubscriptionGrant(), "b": SubscriptionGrant()]
        credentials.isAnswer = true
        var filter = ClientFilter(op: "and")
        filter.nodes = [
            ClientFilter(key: "kind", comparison: "eq", value: "x"),
            ClientFilter(key: "kind", comparison: "in", values: ["x", "y"]),
        ]
        var transport = ClientTransport()
        transport.isProtobuf = true
        transport.hasNativePings = true
        let place = ClientSnapshot.Place(known: 9, position: StreamPosition(offset: 7, epoch: "e"))
        return ClientSnapshot(
            client: "c-1", secret: "s", transport: transport, credentials: credentials, headers: ["a": "b", "c": ""],
            awaitsPong: true,
            subscriptions: [
                ClientSnapshot.Subscription(
                    channel: "kept:1", overrides: ChannelOverrides(presence: true, forceRecovery: false),
                    isServerSide: true, info: .bytes(ByteBuffer(bytes: [1, 2])), expires: 77, isRecoverable: true,
                    hearsJoinLeave: true, form: [.compact], filter: filter, number: 3, place: place),
                ClientSnapshot.Subscription(
                    channel: "plain", overrides: ChannelOverrides(), isServerSide: false, info: nil, expires: nil,
                    isRecoverable: false, hearsJoinLeave: false, form: [], filter: nil, number: 0, place: nil),
            ])
    }

    @Test func whoChoseItsChannelsIsWhatItWas() throws {
        var snapshot = Self.snapshot()
        snapshot.client = Self.client
        #expect(try SessionSnapshot(decoding: snapshot.encoded()) == snapshot)
    }

    @Test func aProtocolGoesOnWhereItStood() throws {
        var namespace = ChannelOptions()
        namespace.historySize = 10
        namespace.historyTime = 10
        namespace.joinLeave = true
        var rules = ClientProtocol.Rules()
        rules.namespaces = ChannelNamespaces(withoutNamespace: ChannelOptions(), [("kept", namespace)])
        let places = Dictionary(
            uniqueKeysWithValues: Self.client.subscriptions.map { ($0.channel, (number: $0.number, place: $0.place)) })
        let machine = try ClientProtocol(Self.client, rules: rules)
        #expect(machine.canMove && machine.user == "ann" && machine.deadline == 77 + rules.subscriptionGrace)
        #expect(machine.subscriptions["kept:1"]?.options.presence == true)
        #expect(machine.subscriptions["kept:1"]?.options.joinLeave == true)
        var again = try #require(
            machine.snapshot(secret: "s") {
                places[$0.text]?.number ?? 0
            } place: {
                places[$0.text]?.place
            })
        again.subscriptions.sort { $0.channel < $1.channel }
        var expected = Self.client
        // What the namespace says anyway is no override.
        expected.subscriptions[0].overrides = ChannelOverrides(presence: true)
        #expect(again == expected)
        #expect(machine.snapshot(secret: "s", number: { _ in 0 }, place: { _ in nil }) == nil)
        rules.namespaces = ChannelNamespaces(withoutNamespace: ChannelOptions(), [])
        #expect(throws: SnapshotError.self) { try ClientProtocol(Self.client, rules: rules) }
    }

    @Test func aHandshakeIsWhatItWas() throws {
        let head = RequestHead(
            method: "GET", target: "/channels/x/?a=b",
            fields: HeaderFields([("Host", "a"), ("Cookie", "sessionid=1"), ("Cookie", "b=2")]))
        let client = ClientAddress(address: IPAddress("192.0.2.1"), isFromTrustedProxy: true)
        let handshake = Handshake(head: head, kind: .webSocket, client: client, captures: ["x"])
        var snapshot = Self.snapshot(.worker(target: "/said"))
        snapshot.handshake = HandshakeSnapshot(handshake)
        let again = try #require(try SessionSnapshot(decoding: snapshot.encoded()).handshake).handshake()
        #expect(again.head.target == head.target && again.head.fields.values("cookie") == ["sessionid=1", "b=2"])
        #expect(again.client == client && again.captures == ["x"] && again.kind == .webSocket)
    }

    /// A message in two fragments with a ping between them, cut at every byte: the second parser goes on.
    @Test func aParserGoesOnWhereverAnotherStopped() throws {
        let mask: [UInt8] = [1, 2, 3, 4]
        func frame(_ first: UInt8, _ text: String) -> [UInt8] {
            [first, 0x80 | UInt8(text.utf8.count)] + mask + text.utf8.enumerated().map { $1 ^ mask[$0 & 3] }
        }
        let bytes = frame(0x01, "grüß") + frame(0x89, "are you") + frame(0x80, " Gott")
        for cut in 0...bytes.count {
            var first = WebSocketParser(messageLimit: 100)
            var input = ByteBuffer(bytes: bytes[..<cut])
            var events: [WebSocketParser.Event] = []
            while let event = try first.next(&input) { events.append(event) }
            var snapshot = Self.snapshot()
            snapshot.parser = first.snapshot
            snapshot.input = input
            let moved = try SessionSnapshot(decoding: snapshot.encoded())
            var second = WebSocketParser(messageLimit: 100)
            try second.restore(try #require(moved.parser))
            var rest = moved.input
            rest.writeBytes(bytes[cut...])
            while let event = try second.next(&rest) { events.append(event) }
            #expect(events == [.ping(ByteBuffer(string: "are you")), .text("grüß Gott")], "cut at \(cut)")
        }
    }

    @Test func whateverBytesComeNothingTraps() {
        var random = SeededGenerator(seed: 5)
        var client = Self.snapshot()
        client.client = Self.client
        let messages: [TakeoverMessage] = [
            .session(Self.snapshot().encoded()), .session(client.encoded()), .channels(["a"]), .groups(["a", "b"]),
            .prepared(refused: [1, 2]),
            .log([HeardMessage(key: .init(high: 1, low: 2), time: 3)]), .listener(address: "http://127.0.0.1:1"),
        ]
        for round in 0..<4_000 {
            var bytes = Array(messages[round % messages.count].encoded().readableBytesView)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                bytes[place] = UInt8.random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
            guard case .session(let snapshot)? = try? TakeoverMessage(decoding: ByteBuffer(bytes: bytes)),
                let state = (try? SessionSnapshot(decoding: snapshot))?.parser
            else { continue }
            var parser = WebSocketParser(messageLimit: 100)
            guard (try? parser.restore(state)) != nil else { continue }
            var input = ByteBuffer(repeating: 0x80, count: 64)
            while (try? parser.next(&input)) != nil {}
        }
    }

    @Test func everyMessageIsReadAsItWasWritten() throws {
        let messages: [TakeoverMessage] = [
            .hello(version: 1), .offer(version: 2, process: 77), .listener(address: "unix:///a"),
            .handoffListener(path: "/b"),
            .router, .takeoverListener,
            .groups([]), .groups(["a", "b"]), .channels(["a"]), .groupsEnd, .following, .log([]), .cut(time: 7),
            .session(ByteBuffer(string: "s")), .newcomer(ByteBuffer()), .end, .prepared(refused: []),
            .prepared(refused: [0, 9]), .commit, .abort(reason: "no"),
        ]
        for message in messages { #expect(try TakeoverMessage(decoding: message.encoded()) == message) }
    }
}
