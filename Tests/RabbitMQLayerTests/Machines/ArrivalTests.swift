import ChannelLayer
import JSON
import NIOCore
import TestSupport
import Testing

@testable import RabbitMQLayer

@Suite struct ArrivalTests {
    /// Recorded from `channels_rabbitmq`.
    @Test func bodiesOfPythonPeersAreUnderstood() throws {
        let group = bytes(
            hex: "83a474797065ac636861742e6d657373616765a474657874a26869ae5f5f617367695f67726f75705f5fa6726f6f6d2d31")
        let message: LayerMessage = ["type": .string("chat.message"), "text": .string("hi")]
        #expect(try Arrival(messagePack: group) == .group(GroupName("room-1"), message))
        #expect(try message.encoded(adding: Arrival.groupKey, "room-1") == group, "byte for byte what Python writes")
    }

    private func encoded(_ entries: [(String, LayerValue)]) throws -> ByteBuffer {
        var buffer = ByteBuffer()
        try LayerMessage(entries: entries.map { .init(key: .string($0.0), value: $0.1) })
            .encodeMessagePack(into: &buffer)
        return buffer
    }

    @Test func theReservedKeyMayStandAnywhere() throws {
        let body = try self.encoded([("__asgi_group__", .string("g")), ("type", .string("x"))])
        #expect(try Arrival(messagePack: body) == .group(GroupName("g"), ["type": .string("x")]))
        let both = try self.encoded([("__asgi_group__", .null), ("__asgi_channel__", .string("a!b"))])
        #expect(try Arrival(messagePack: both) == .channel(ChannelName("a!b"), [:]), "null is not there")
    }

    @Test func bodiesThatAreForNobodyAreRefused() throws {
        let bodies = [
            try self.encoded([("type", .string("x"))]),
            try self.encoded([("__asgi_group__", .string("g")), ("__asgi_channel__", .string("c"))]),
            try self.encoded([("__asgi_group__", .int(1))]),
            try self.encoded([("__asgi_channel__", .array([.string("c")]))]),
            ByteBuffer(string: "{\"type\": 1}"), ByteBuffer(),
        ]
        for body in bodies { #expect(throws: MessagePackError.self) { try Arrival(messagePack: body) } }
    }

    @Test func plainTextBecomesAPublication() throws {
        let arrival = try Arrival(json: ByteBuffer(string: " {\"a\": [1]} "), key: "room.1")
        guard case .group(let group, let message) = arrival, case .json(let text)? = message["data"] else {
            Issue.record("not a publication")
            return
        }
        #expect(group.text == "room.1")
        #expect(message.type == "carillon.publication")
        #expect(text.bytes == ByteBuffer(string: "{\"a\": [1]}"))
        for (body, key) in [("{", "g"), ("", "g"), ("1 2", "g"), ("1", ""), ("1", "a b"), ("1", "#")] {
            #expect(throws: JSONError.self) { try Arrival(json: ByteBuffer(string: body), key: key) }
        }
    }

    @Test func whatCannotBeReadByOthersIsNotSent() {
        let large: LayerMessage = ["text": .string(String(repeating: "x", count: 16_000_001))]
        let reserved: LayerMessage = ["__asgi_group__": .string("x")]
        let numbered: LayerMessage = ["a": .map([.init(key: .int(1), value: .null)])]
        for message in [reserved, numbered, large] {
            #expect(throws: LayerError.self) { try message.encoded(adding: Arrival.groupKey, "g") }
        }
    }

    @Test func noBodyTrapsTheReader() throws {
        let corpus = [
            try self.encoded([("type", .string("x")), ("__asgi_group__", .string("g"))]),
            try self.encoded([("__asgi_channel__", .string("a!b")), ("n", .array([.int(1), .bytes(ByteBuffer())]))]),
        ].map { Array($0.readableBytesView) }
        var mutator = Mutator(corpus: corpus, interesting: [0x80, 0xC0, 0xD9, 0xDF, 0xFF], seed: 11)
        for _ in 0..<5_000 {
            let body = ByteBuffer(bytes: mutator.next())
            _ = try? Arrival(messagePack: body)
            _ = try? Arrival(json: body, key: "g")
        }
    }
}
