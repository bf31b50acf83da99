import ChannelLayer
import ClientWire
import JSON
import NIOCore
import SwiftProtobuf
import TestSupport
import Testing

@testable import Gateway

/// Commands, replies and pushes as Protobuf. The commands are those of the tests in JSON, which Protobuf's own mapping to
/// JSON turns into messages: the names of the fields are the same, and their numbers the schema's.
@Suite struct ClientProtobufTests {
    /// The message that a line of JSON stands for, behind its length.
    static func frame(_ json: String) throws -> [UInt8] {
        var options = JSONDecodingOptions()
        options.ignoreUnknownFields = true
        return try ProtobufBrowser.frame(WireCommand(jsonString: json, options: options))
    }

    static let lines = [
        "{}", #"{"id":1,"connect":{"token":"a.b.c","name":"js","version":"1","headers":{"X-A":"b"}}}"#,
        #"{"id":1,"connect":{"subs":{"a":{"recover":true,"offset":"9007199254740993","epoch":"e"},"b":{}}}}"#,
        #"{"id":2,"subscribe":{"channel":"chat:7","recover":true,"epoch":"hXkq","offset":3,"flag":3}}"#,
        #"{"subscribe":{"channel":"a","token":"t","type":1,"delta":"fossil","positioned":true,"recoverable":true,"#
            + #""join_leave":true,"tf":{"op":"and","nodes":[{"key":"x","cmp":"in","vals":["a"]},"#
            + #"{"key":"y","cmp":"eq","val":"1"}]}},"id":4294967295}"#,
        #"{"id":3,"unsubscribe":{"channel":"chat:7"}}"#, #"{"id":4,"publish":{"channel":"c"}}"#,
        #"{"id":5,"presence":{"channel":"c"}}"#, #"{"id":6,"presence_stats":{"channel":"c"}}"#,
        #"{"id":8,"history":{"channel":"c","limit":-1}}"#,
        #"{"id":8,"history":{"channel":"c","limit":2,"since":{"offset":1,"epoch":"e"},"reverse":true}}"#,
        #"{"id":9,"rpc":{"method":"m"}}"#, #"{"send":{}}"#, #"{"id":1,"refresh":{"token":"t"}}"#,
        #"{"id":1,"sub_refresh":{"channel":"c","token":"t"}}"#, #"{"id":1,"ping":{}}"#,
        #"{"id":1,"send":{},"publish":{},"connect":{}}"#,
    ]

    @Test(arguments: Self.lines) func aCommandSaysTheSameAsInJSON(line: String) throws {
        let unquoted = line.replacing(#""9007199254740993""#, with: "9007199254740993")
        var frame = ByteBuffer(bytes: try Self.frame(line) + [7])
        #expect(
            try ClientCodec.protobuf.nextCommand(of: &frame) == ClientCommand(decoding: ByteBuffer(string: unquoted)))
        #expect(frame.readableBytes == 1)
    }

    @Test func anApplicationsBytesRemainWhatTheyAre() throws {
        for data in ["{\"a\": 1} ", "\u{0}"] {
            var command = WireCommand()
            command.id = 4
            command.publish.channel = "c"
            command.publish.data.append(contentsOf: data.utf8)
            let bytes: [UInt8] = try command.serializedBytes()
            #expect(
                try ClientCommand(message: ByteBuffer(bytes: bytes))
                    == ClientCommand(id: 4, .publish(channel: "c", data: .bytes(ByteBuffer(string: data)))))
        }
    }

    @Test(arguments: [
        [], [0x80], [5, 8, 1], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [2, 8, 0x80], [2, 0x22, 5],
        // A text that is no UTF-8.
        [6, 0x32, 4, 0x0A, 2, 0xFF, 0xFE],
    ]) func whatIsNoCommandIsRefused(bytes: [UInt8]) {
        var frame = ByteBuffer(bytes: bytes)
        #expect(throws: ClientCodec.Fault.self) { _ = try ClientCodec.protobuf.nextCommand(of: &frame) }
    }

    @Test func deeplyNestedFiltersAreRefused() throws {
        var node = WireFilterNode()
        for _ in 0..<200 {
            var outer = WireFilterNode()
            outer.nodes = [node]
            node = outer
        }
        var command = WireCommand()
        command.subscribe.tf = node
        let bytes: [UInt8] = try command.serializedBytes()
        #expect(throws: (any Error).self) { _ = try ClientCommand(message: ByteBuffer(bytes: bytes)) }
    }

    @Test func brokenCommandsAreReadOrRefused() throws {
        var mutator = Mutator(
            corpus: try Self.lines.map(Self.frame), interesting: [0, 1, 0x0A, 0x12, 0x22, 0x2A, 0x7F, 0x80, 0xFF],
            seed: 7)
        var taken = 0
        for _ in 0..<10_000 {
            var frame = ByteBuffer(bytes: mutator.next())
            while frame.readableBytes > 0, (try? ClientCodec.protobuf.nextCommand(of: &frame)) != nil { taken += 1 }
        }
        #expect(taken > 100, "the mutator breaks nearly everything; it tests nothing then")
    }

    // MARK: Replies and pushes

    /// The one message of a frame.
    private func message(of frame: ByteBuffer) throws -> [UInt8] {
        var frame = frame
        let prefix = frame.readVarint()
        let length = try #require(prefix)
        #expect(frame.readableBytes == Int(length))
        return [UInt8](buffer: frame)
    }

    private func reply(_ result: ClientReply.Result) throws -> WireReply {
        var frame = ByteBuffer()
        ClientCodec.protobuf.write(ClientReply(7, result), to: &frame)
        let reply = try WireReply(serializedBytes: try self.message(of: frame))
        #expect(reply.id == 7)
        return reply
    }

    private func json(_ text: String) -> ClientData { .json(JSONText(unchecked: ByteBuffer(string: text))) }

    @Test func emptyResultsAreThere() throws {
        #expect(try self.reply(.unsubscribe).hasUnsubscribe && self.reply(.publish).hasPublish)
        #expect(try self.reply(.rpc(nil)).hasRpc && self.reply(.subscribe(ClientSubscribed())).hasSubscribe)
        #expect(try self.reply(.presence([:])).hasPresence && self.reply(.refreshSubscription(ttl: nil)).hasSubRefresh)
        #expect(try self.reply(.presenceStats(clients: 0, users: 0)).hasPresenceStats)
        #expect(try self.reply(.history([], top: StreamPosition(offset: 0, epoch: ""))).hasHistory)
    }

    @Test func repliesSayEverything() throws {
        let error = try self.reply(.error(.internal)).error
        #expect(error.code == 100 && error.message == "internal server error" && error.temporary)

        let info = ClientInfo(
            user: "42", client: "c", connection: self.json("1"), channel: .bytes(ByteBuffer(bytes: [0xFF])))
        var publication = ClientPublication(self.json("[1]"), info: info, offset: 4, tags: ["k": "v"])
        publication.time = 5
        var subscribed = ClientSubscribed()
        subscribed.ttl = 9
        subscribed.isRecoverable = true
        subscribed.isPositioned = true
        subscribed.isRecovered = true
        subscribed.wasRecovering = true
        subscribed.isDelta = true
        subscribed.number = 3
        subscribed.data = self.json("{}")
        subscribed.position = StreamPosition(offset: 17, epoch: "hXkq")
        subscribed.publications = [publication]
        var connected = ClientConnected(client: "c-1", ttl: 60, ping: 25)
        connected.data = self.json("7")
        connected.subscriptions = ["#42": subscribed]
        connected.session = "s"
        connected.node = "n"
        let wire = try self.reply(.connect(connected)).connect
        #expect(wire.client == "c-1" && wire.version == "carillon" && wire.expires && wire.ttl == 60)
        #expect(wire.ping == 25 && wire.pong && wire.session == "s" && wire.node == "n" && [UInt8](wire.data) == [0x37])
        let wireSubscribed = try #require(wire.subs["#42"])
        #expect(wireSubscribed == (try self.reply(.subscribe(subscribed))).subscribe)
        #expect(wireSubscribed.expires && wireSubscribed.ttl == 9 && wireSubscribed.offset == 17)
        #expect(wireSubscribed.recoverable && wireSubscribed.positioned && wireSubscribed.recovered)
        #expect(wireSubscribed.wasRecovering && wireSubscribed.delta && wireSubscribed.id == 3)
        #expect(wireSubscribed.epoch == "hXkq")
        let wirePublication = try #require(wireSubscribed.publications.first)
        #expect([UInt8](wirePublication.data) == Array("[1]".utf8) && wirePublication.offset == 4)
        #expect(wirePublication.tags == ["k": "v"] && wirePublication.time == 5)
        #expect(wirePublication.info.user == "42" && [UInt8](wirePublication.info.chanInfo) == [0xFF])

        let history = try self.reply(.history([publication], top: StreamPosition(offset: 4, epoch: "e"))).history
        #expect(history.publications == [wirePublication] && history.offset == 4 && history.epoch == "e")
        let presence = try self.reply(.presence(["c": info])).presence
        #expect(presence.presence == ["c": wirePublication.info])
    }

    /// The push that is written by hand is what the generated code would have written.
    @Test(arguments: [0, 1, 127, 128, 300, 20_000], [false, true])
    func aPublicationByHandIsTheGeneratedOne(length: Int, isBare: Bool) throws {
        for (channel, number) in [("news", Int64(0)), (String(repeating: "x", count: 200), 0), ("news", 300)] {
            for info in [nil, ClientInfo(user: "42", client: "c")] {
                let data = ClientData.bytes(ByteBuffer(repeating: 0x61, count: length))
                let publication = ClientPublication(data, info: info, offset: info == nil ? 0 : 9)
                let push = ClientPush(channel, number: number, .publication(publication))
                var frame = ByteBuffer()
                ClientCodec.protobuf.write(push, isBare: isBare, to: &frame)
                let bytes = try self.message(of: frame)
                if isBare {
                    #expect(try WirePush(serializedBytes: bytes) == push.message)
                } else {
                    #expect(try WireReply(serializedBytes: bytes).push == push.message)
                }
            }
        }
    }

    @Test func pushesOfAllKinds() throws {
        func push(_ event: ClientPush.Event) throws -> WirePush {
            var frame = ByteBuffer()
            ClientCodec.protobuf.write(ClientPush("a", event), isBare: false, to: &frame)
            let reply = try WireReply(serializedBytes: try self.message(of: frame))
            #expect(reply.id == 0 && reply.hasPush && reply.push.channel == "a")
            return reply.push
        }
        let info = ClientInfo(user: "42", client: "c")
        #expect(try push(.join(info)).join.info.user == "42" && push(.leave(info)).leave.info.client == "c")
        #expect(try push(.unsubscribe(code: 2500, reason: "r")).unsubscribe.code == 2500)
        var subscribed = ClientSubscribed()
        subscribed.isRecoverable = true
        #expect(try push(.subscribe(subscribed)).subscribe.recoverable)
        #expect(try push(.message(self.json("1"))).message.data.count == 1)
        #expect(try push(.connect(ClientConnected(client: "c", ping: 3))).connect.pong)
        #expect(try push(.disconnect(.shutdown)).disconnect.code == 3001)
        #expect(try push(.refresh(ttl: 8)).refresh.ttl == 8)
        #expect(ClientCodec.protobuf.ping == ByteBuffer(bytes: [0]))
    }
}
