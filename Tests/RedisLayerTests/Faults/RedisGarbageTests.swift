import ChannelLayer
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import RedisLayer

/// What others write under our names harms nobody: real messages go on arriving, once and in order, and the rest is
/// counted.
@Suite(.timeLimit(.minutes(2)), .serialized) struct RedisGarbageTests {
    /// Commands that make a key something else than a sorted set.
    private static let foreignKinds = [
        ["SET", "text"], ["RPUSH", "element"], ["HSET", "field", "value"], ["SADD", "member"],
        ["XADD", "*", "field", "value"],
    ]

    /// Bytes that are no message: of chance, and messages with a few changes.
    private static func garbage(_ codec: RedisMessageCodec, for receiver: ChannelName?) throws -> [[UInt8]] {
        var generator = SeededGenerator(seed: 3)
        var all: [[UInt8]] = [[], [0], Array(repeating: 0x91, count: 100_000), Array(repeating: 0xDF, count: 40)]
        for size in stride(from: 16, through: 400, by: 3) {
            all.append((0..<size).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
        }
        all.append(Array(repeating: 0xC1, count: 4 << 20))
        // Without the key "number", so that those that still are messages are told from the real ones.
        let message: LayerMessage = ["type": .string("garbage"), "list": .array([.int(1), .null, .double(0.5)])]
        let good = Array(try codec.encode(message, for: receiver, at: 0).readableBytesView)
        var mutator = Mutator(corpus: [good], interesting: [0x80, 0x90, 0xA0, 0xC0, 0xC4, 0xD9, 0xDB, 0xFF], seed: 4)
        for _ in 0..<500 { all.append(mutator.next()) }
        return all
    }

    @Test func garbageInTheGroupsKeysHarmsNobody() async throws {
        try await withRedis { server in
            try await withSites([server.endpoint], of: [.core]) { sites in
                let site = sites[0]
                try await withClient(server.endpoint) { client in
                    let key = "asgi:group:\(site.group.text)"
                    var generator = SeededGenerator(seed: 1)
                    for _ in 0..<2_000 {
                        let size = Int.random(in: 0...200, using: &generator)
                        let member = (0..<size).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
                        try await client.add(ByteBuffer(bytes: member), to: key, score: "9000000000")
                    }
                    for name in ["!", "!x", "a!b!c", String(repeating: "a", count: 99), "asgi", "$inflight", "group!"] {
                        try await client.add(ByteBuffer(string: name), to: key, score: "9000000000")
                    }
                    try await client.add(ByteBuffer(repeating: 0x61, count: 4 << 20), to: key, score: "inf")
                    for (number, kind) in Self.foreignKinds.enumerated() {
                        try await client.make("asgiforeign\(number)", kind)
                        try await client.add(ByteBuffer(string: "foreign\(number)"), to: key, score: "9000000000")
                    }
                }
                site.submit(0..<100)
                try await site.heard.arrivals(100)
                #expect(site.heard.numbers == Array(0..<100))
                let foreign = Self.foreignKinds.count * 100
                try await site.dropped(foreign)
                #expect(site.drops.dropped(.invalid) == [site.group.text: foreign], "mailboxes that are none")
            }
        }
    }

    @Test func aGroupsKeyThatIsSomethingElseIsMadeAnew() async throws {
        try await withRedis { server in
            try await withSites([server.endpoint], of: [.core]) { sites in
                let site = sites[0]
                try await withClient(server.endpoint) { client in
                    for (number, kind) in Self.foreignKinds.enumerated() {
                        try await client.make("asgi:group:other\(number)", kind)
                        #expect(await site.gateway.failureToJoin("other\(number)", site.feed) == nil)
                        site.feed.unfollow(GroupName(unchecked: "other\(number)"))
                    }
                    try await client.make("asgi:group:\(site.group.text)", Self.foreignKinds[0])
                    // Found within seconds; the gap is told.
                    try await site.heard.restored(1)
                    try await site.untilHeard(from: 1)
                }
                site.heard.expectOrder()
            }
        }
    }

    @Test func garbageInAMailboxHarmsNobody() async throws {
        try await withRedis { server in
            let drops = DropRecorder()
            let layer = RedisLayerKind.core.layer([server.endpoint], observer: drops)
            let group = GroupName(unchecked: "g")
            let (heard, feed) = try await layer.hearing(group)
            let letters = Letters()
            let inbox = try #require(layer.openInbox(letters))
            let own = try await layer.newChannel(prefix: "specific")
            let codec = RedisMessageCodec(serializer: .messagePack, secrets: [], randomPrefixLength: 12)
            try await withClient(server.endpoint) { client in
                for (mailbox, receiver) in [(inbox.channel.mailbox, inbox.channel), (own.mailbox, own), ("work", nil)] {
                    for bytes in try Self.garbage(codec, for: receiver) {
                        let score = ["9000000000", "inf", "1e300", "\(RedisClock.now())"][bytes.count % 4]
                        try await client.add(ByteBuffer(bytes: bytes), to: "asgi" + mailbox, score: score)
                    }
                }
                // Old, and from before there was time.
                for score in ["0", "-inf", "-1"] {
                    try await client.add(ByteBuffer(string: "x"), to: "asgi" + inbox.channel.mailbox, score: score)
                }
            }
            for number in 0..<100 {
                try await layer.send(test(number), toGroup: group)
                // Until the garbage was read it takes the room.
                while await layer.outcome(of: test(number), to: inbox.channel) == .channelFull { try await turn() }
            }
            try await heard.arrivals(100)
            #expect(heard.numbers == Array(0..<100))
            try await letters.arrivals(100)
            #expect(letters.numbers == Array(0..<100))
            for channel in [own, ChannelName(unchecked: "work")] {
                var message: LayerMessage?
                let sending = Task {
                    while await layer.outcome(of: test(1), to: channel) == .channelFull { try await turn() }
                }
                while message?.testNumber != 1 { message = try await layer.receive(from: channel) }
                try await sending.value
            }
            #expect(drops.dropped(.undecodable)[inbox.channel.mailbox] ?? 0 > 100)
            #expect(drops.dropped(.undecodable)["work"] ?? 0 > 100)
            feed.close()
            inbox.close()
            await layer.close()
        }
    }

    @Test func aMailboxThatIsSomethingElseIsMadeAnew() async throws {
        try await withRedis { server in
            try await withSites([server.endpoint], of: [.core]) { sites in
                let site = sites[0]
                let member = try await server.command("ZRANGE", "asgi:group:\(site.group.text)", "0", "0")
                let process = member.prefix { $0 != "!" }.split(separator: ".").last.map(String.init) ?? ""
                try await withClient(server.endpoint) { client in
                    for (number, kind) in Self.foreignKinds.enumerated() {
                        try await client.make("asgicarillon-gw.\(process)!", kind)
                        // The key that wakes readers, too; then it is found after the longest wait for messages.
                        if number == 1 { try await client.make("asgiwake.\(process)!", kind) }
                        let own = try await site.gateway.newChannel(prefix: "specific")
                        async let message = site.gateway.receive(from: own)
                        try await site.heard.restored(number + 1)
                        try await site.untilHeard(from: (number + 1) * 10_000)
                        try await site.sender.send(test(number), to: own)
                        #expect(try await message.testNumber == number)
                    }
                }
                site.heard.expectOrder()
            }
        }
    }

    @Test func aNormalChannelThatIsSomethingElseIsToldToItsReader() async throws {
        try await withRedis { server in
            try await withLayer([server.endpoint]) { layer, _ in
                let channel = ChannelName(unchecked: "work")
                try await server.command("SET", "asgiwork", "somebody's")
                do throws(LayerError) {
                    _ = try await layer.receive(from: channel)
                    Issue.record("there was a message")
                } catch {
                    #expect(error.code == .refused)
                }
                #expect(await layer.outcome(of: test(1), to: channel) == .refused)
                #expect(try await server.command("GET", "asgiwork") == "somebody's", "it is not ours to delete")
                try await server.command("DEL", "asgiwork")
                try await layer.send(test(2), to: channel)
                #expect(try await layer.receive(from: channel).testNumber == 2)
            }
        }
    }

    @Test func garbagePublishedToOurTopicsHarmsNobody() async throws {
        try await withRedis { server in
            let drops = DropRecorder()
            let layer = RedisLayerKind.pubSub.layer([server.endpoint], observer: drops)
            let group = GroupName(unchecked: "g")
            let (heard, feed) = try await layer.hearing(group)
            let own = try await layer.newChannel(prefix: "specific")
            let codec = RedisMessageCodec(serializer: .messagePack, secrets: [], randomPrefixLength: 0)
            try await withClient(server.endpoint) { client in
                for bytes in try Self.garbage(codec, for: nil) {
                    for topic in ["asgi__group__g", own.text, "asgi__group__", "nobody"] {
                        var command = RedisCommand.words(["PUBLISH", topic])
                        command.append(ByteBuffer(bytes: bytes))
                        _ = try await client.client.send(command)
                    }
                }
            }
            for number in 0..<100 {
                try await layer.send(test(number), toGroup: group)
                try await layer.send(test(number), to: own)
            }
            try await heard.arrivals(100)
            #expect(heard.numbers == Array(0..<100))
            #expect(heard.interruptions == 0)
            var numbers: [Int] = []
            while numbers.last != 99 {
                if let number = try await layer.receive(from: own).testNumber { numbers.append(number) }
            }
            #expect(numbers == Array(0..<100))
            #expect(drops.dropped(.undecodable)["g"] ?? 0 > 100)
            #expect(drops.dropped(.undecodable)[own.text] == drops.dropped(.undecodable)["g"])
            feed.close()
            await layer.close()
        }
    }
}

/// Hears an inbox and keeps the numbers of its messages.
private final class Letters: InboxListener {
    private let state = Mutex<[Int]>([])

    var numbers: [Int] { self.state.withLock { $0 } }

    func arrived(_ message: LayerMessage) {
        guard let number = message.testNumber else { return }
        self.state.withLock { $0.append(number) }
    }

    func arrivals(_ count: Int) async throws { while self.numbers.count < count { try await turn() } }
}

extension TestClient {
    /// Puts a member of any bytes into a sorted set.
    fileprivate func add(_ member: ByteBuffer, to key: String, score: String) async throws {
        var command = RedisCommand.words(["ZADD", key, score])
        command.append(member)
        _ = try await self.client.send(command)
    }

    /// Makes a key something of another kind, whatever it was.
    fileprivate func make(_ key: String, _ kind: [String]) async throws {
        _ = try await self.client.send(.words(["MULTI"]))
        _ = try await self.client.send(.words(["DEL", key]))
        _ = try await self.client.send(.words([kind[0], key] + kind.dropFirst()))
        _ = try await self.client.send(.words(["EXEC"]))
    }
}

extension ChannelLayer {
    /// What is heard of `group` from now on.
    fileprivate func hearing(_ group: GroupName) async throws -> (NumberRecorder, any GroupFeed) {
        let heard = NumberRecorder()
        let feed = self.openFeed(heard)
        try await self.join(group, feed)
        return (heard, feed)
    }

    /// The code that sending to a channel ends with.
    fileprivate func outcome(of message: LayerMessage, to channel: ChannelName) async -> LayerError.Code? {
        do throws(LayerError) {
            try await self.send(message, to: channel)
            return nil
        } catch {
            return error.code
        }
    }
}
