import ChannelLayer
import JSON
import NIOCore
import TestSupport
import Testing

@testable import RedisLayer

@Suite struct RedisMessageCodecTests {
    private let core = RedisMessageCodec(serializer: .messagePack, secrets: [], randomPrefixLength: 12)
    private let json = RedisMessageCodec(serializer: .json, secrets: [], randomPrefixLength: 12)
    private let hello: LayerMessage = ["type": "chat.message", "text": "hi"]

    /// The stored messages of a recorded call, without their random prefixes.
    private func members(of name: String) throws -> [ByteBuffer] {
        try CoreVectors.read().named(name).keys_after.filter { $0.key.text?.hasPrefix("asgi:group:") == false }
            .flatMap { $0.members ?? [] }.map { $0.member.bytes }
    }

    private func withoutPrefix(_ stored: ByteBuffer) -> ByteBuffer {
        var stored = stored
        stored.moveReaderIndex(forwardBy: 12)
        return stored
    }

    @Test func aNormalChannelsMessageIsStoredAsPythonStoresIt() throws {
        let stored = try self.core.encode(self.hello, at: 0)
        let recorded = try #require(try self.members(of: "send-normal-channel").first)
        #expect(self.withoutPrefix(stored) == self.withoutPrefix(recorded))
        #expect(stored.readableBytes == recorded.readableBytes)
    }

    @Test func aSpecificChannelsMessageNamesIt() throws {
        let channel = try ChannelName(
            "specific.b8d2a2895b22a889e10e616a50fe8afe!eb3f1a1a9759a47fe2f7da2986ec9a4e")
        let stored = try self.core.encode(self.hello, for: channel, at: 0)
        let recorded = try #require(try self.members(of: "send-specific-channel").first)
        #expect(self.withoutPrefix(stored) == self.withoutPrefix(recorded))
        let arrival = try self.core.decode(recorded)
        #expect(arrival == .init(message: self.hello, receivers: [channel.text]))
    }

    @Test func aGroupsMessageListsItsMembers() throws {
        let process = "specific.b8d2a2895b22a889e10e616a50fe8afe!"
        let members = try ["eb3f1a1a9759a47fe2f7da2986ec9a4e", "668f39bb0487329be5831de5d34638a9"].map {
            try ChannelName(process + $0)
        }
        let recorded = try self.members(of: "group-send-3-members-2-processes").map(self.withoutPrefix)
        let open = try self.core.encodeOpen(self.hello)
        #expect(recorded.contains(self.withoutPrefix(try self.core.complete(open, for: members, at: 0))))
    }

    @Test func longListsAreWrittenAsMessagePackSays() throws {
        for count in [15, 16, 300, 70_000] {
            let members = try (0..<count).map { try ChannelName("process.with.a.name.of.some.length!\($0)") }
            let stored = try self.core.complete(self.core.encodeOpen(self.hello), for: members, at: 0)
            #expect(try self.core.decode(stored) == .init(message: self.hello, receivers: members.map(\.text)))
        }
    }

    @Test func jsonIsWrittenAsPythonWritesIt() throws {
        let message: LayerMessage = [
            "type": "chat.message", "text": "h\u{e9} \"q\" \u{1F600}",
            "n": .array([.int(1), .double(2.5), .bool(true), .null]),
        ]
        let recorded = self.withoutPrefix(try #require(try self.members(of: "json-group-send").first))
        let arrival = try RedisMessageCodec(serializer: .json, secrets: [], randomPrefixLength: 0).decode(recorded)
        #expect(arrival.message == message)
        let receivers = try arrival.receivers.map { try ChannelName($0) }
        let open = try self.json.encodeOpen(message)
        #expect(self.withoutPrefix(try self.json.complete(open, for: receivers, at: 0)) == recorded)
    }

    @Test func anEncryptedMessageIsOpened() throws {
        let vector = try FernetVectors.read().full_member_example
        let codec = RedisMessageCodec(serializer: .messagePack, secrets: vector.config, randomPrefixLength: 12)
        #expect(try codec.decode(bytes(hex: vector.hex)).message == ["type": "x"])
        let stored = try codec.encode(self.hello, for: try ChannelName("a!b"), at: 1_000.9)
        #expect(try codec.decode(stored, madeIn: 1_000...1_000).receivers == ["a!b"])
        let grouped = try codec.complete(codec.encodeOpen(self.hello), for: [ChannelName("a!b")], at: 1_000)
        #expect(try codec.decode(grouped, madeIn: 1_000...1_000) == .init(message: self.hello, receivers: ["a!b"]))
    }

    @Test func faultsSayWhatIsWrong() throws {
        let encrypting = RedisMessageCodec(serializer: .messagePack, secrets: ["k"], randomPrefixLength: 12)
        let sealed = try encrypting.encode(self.hello, at: 1_000)
        func reason(_ codec: RedisMessageCodec, _ stored: ByteBuffer) -> LayerDrop? {
            do throws(RedisMessageCodec.Fault) {
                _ = try codec.decode(stored, madeIn: 2_000...3_000)
                return nil
            } catch {
                return error.reason
            }
        }
        #expect(reason(self.core, ByteBuffer(string: "short")) == .undecodable)
        #expect(reason(self.core, ByteBuffer(string: "twelve bytes")) == .undecodable)
        #expect(reason(self.core, sealed) == .undecodable)
        #expect(reason(encrypting, try self.core.encode(self.hello, at: 0)) == .undecryptable)
        #expect(reason(encrypting, sealed) == .expired)
    }

    @Test func theFirstByteTellsTheSerializer() throws {
        let wire = try self.json.encode(self.hello, at: 0)
        #expect(try self.core.decode(wire).message == self.hello)
        #expect(try self.json.decode(self.core.encode(self.hello, at: 0)).message == self.hello)
    }

    @Test func strangeReceiversHarmNobody() throws {
        for (value, names): (LayerValue, [String]) in [
            (.null, []), (.int(1), []), (.array([.int(1), .string("a!b"), .null]), ["a!b"]), (.map([]), []),
            (.bytes(ByteBuffer(string: "a!b")), []),
        ] {
            var wire = ByteBuffer(string: "twelve bytes")
            try (["type": "x", "__asgi_channel__": value] as LayerMessage).encodeMessagePack(into: &wire)
            #expect(try self.core.decode(wire) == .init(message: ["type": "x"], receivers: names))
        }
    }

    @Test func randomPrefixesHaveTheirLengthAndDiffer() throws {
        for length in [0, 1, 3, 4, 7, 8, 12, 13, 31, 64] {
            let codec = RedisMessageCodec(serializer: .messagePack, secrets: [], randomPrefixLength: length)
            let stored = try (0..<20).map { _ in try codec.encode(self.hello, at: 0) }
            #expect(Set(stored.map(\.readableBytes)) == [28 + length - 1])
            if length >= 7 { #expect(Set(stored).count == 20) }
            #expect(try codec.decode(stored[0]).message == self.hello)
        }
    }

    @Test func whateverIsStoredIsReadOrRefused() throws {
        let channel = try ChannelName("a!b")
        let corpus = try [
            self.core.encode(self.hello, for: channel, at: 0), self.core.encode(self.hello, at: 0),
            self.json.complete(self.json.encodeOpen(self.hello), for: [channel], at: 0),
        ].map { Array($0.readableBytesView) }
        var mutator = Mutator(corpus: corpus, interesting: [0x7B, 0x7D, 0x81, 0x91, 0xC0, 0xD9], seed: 12)
        var taken = 0
        for _ in 0..<4_000 {
            guard let arrival = try? self.core.decode(ByteBuffer(bytes: mutator.next())) else { continue }
            taken += 1
            #expect(arrival.message["__asgi_channel__"] == nil)
        }
        #expect(taken > 200)
    }
}
