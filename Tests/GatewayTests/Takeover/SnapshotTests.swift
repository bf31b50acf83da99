import ChannelLayer
import HTTP1
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
            parser: WebSocketParser(messageLimit: 10).snapshot, introducedName: "a-1")
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
        let messages: [TakeoverMessage] = [
            .session(Self.snapshot().encoded()), .groups(["a", "b"]), .prepared(refused: [1, 2]),
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
            .groups([]), .groups(["a", "b"]), .groupsEnd, .following, .log([]), .cut(time: 7),
            .session(ByteBuffer(string: "s")), .newcomer(ByteBuffer()), .end, .prepared(refused: []),
            .prepared(refused: [0, 9]), .commit, .abort(reason: "no"),
        ]
        for message in messages { #expect(try TakeoverMessage(decoding: message.encoded()) == message) }
    }
}
