import ChannelLayer
import NIOCore
import TestSupport
import Testing

@testable import RedisLayer

/// What the layer leaves in Redis is what channels_redis leaves there (`redis-core.json`).
@Suite(.timeLimit(.minutes(2))) struct RedisLayerTraceTests {
    private let hello: LayerMessage = ["type": .string("chat.message"), "text": .string("hi")]

    /// The members of the recorded key, without their random prefixes.
    private func recorded(_ name: String, _ key: String) throws -> (members: [ByteBuffer], seconds: Int) {
        let vector = try CoreVectors.read().named(name)
        guard let found = vector.keys_after.first(where: { $0.key.text == key }) else { return ([], 0) }
        return ((found.members ?? []).map { $0.member.bytes.withoutRandomPrefix }, found.ttl_seconds)
    }

    /// The members of a key, without their random prefixes, and its TTL.
    private func found(_ key: String, _ client: TestClient) async throws -> (members: [ByteBuffer], seconds: Int) {
        let members = try await client.run("ZRANGE", key, "0", "-1").array ?? []
        let seconds = try await client.run("TTL", key).integer ?? 0
        return (members.compactMap { $0.bulk?.withoutRandomPrefix }, Int(seconds))
    }

    private func compare(_ name: String, _ key: String, _ client: TestClient) async throws {
        let (here, there) = (try await self.found(key, client), try self.recorded(name, key))
        #expect(here.members == there.members && !here.members.isEmpty, "\(name)")
        Self.expect(here.seconds, isLeftOf: there.seconds, name)
    }

    /// A busy machine may take a second or two from the command to the question.
    private static func expect(_ seconds: Int, isLeftOf whole: Int, _ name: String) {
        #expect((whole - 2...whole).contains(seconds), "\(name)")
    }

    @Test func sendsLeaveWhatPythonsLeave() async throws {
        let process = "specific.b8d2a2895b22a889e10e616a50fe8afe!"
        let (one, two) = (process + "eb3f1a1a9759a47fe2f7da2986ec9a4e", process + "668f39bb0487329be5831de5d34638a9")
        let other = "specific.079d4005cf07ca4ac8d09ed14f39f558!0174f970e45db1d2d44b3b57d8ed37ca"
        try await withRedis { server in
            try await withClient(server.endpoint) { client in
                try await withLayer([server.endpoint]) { layer, _ in
                    try await layer.send(self.hello, to: try ChannelName("chat"))
                    try await self.compare("send-normal-channel", "asgichat", client)
                    try await layer.send(self.hello, to: try ChannelName(one))
                    try await self.compare("send-specific-channel", "asgi" + process, client)
                    try await client.run("FLUSHALL")
                    let group = try GroupName("room-1")
                    for member in [one, two, other] { try await layer.groupAdd(group, try ChannelName(member)) }
                    let left = try await client.run("TTL", "asgi:group:room-1").integer ?? 0
                    Self.expect(Int(left), isLeftOf: 86_400, "a group's time")
                    let members = try await client.run("ZRANGE", "asgi:group:room-1", "0", "-1").array
                    #expect(members?.compactMap(\.text) == [one, two, other])
                    try await layer.send(self.hello, toGroup: group)
                    try await self.compare("group-send-3-members-2-processes", "asgi" + process, client)
                    try await self.compare(
                        "group-send-3-members-2-processes", "asgispecific.079d4005cf07ca4ac8d09ed14f39f558!", client)
                    try await layer.groupDiscard(group, try ChannelName(two))
                    #expect(try await client.run("ZCARD", "asgi:group:room-1").integer == 2)
                }
            }
        }
    }

    @Test func aCleanStopLeavesNothing() async throws {
        try await withRedis { server in
            try await withClient(server.endpoint) { client in
                try await withLayer([server.endpoint]) { layer, _ in
                    let heard = FeedRecorder()
                    for number in 0..<300 {
                        try await layer.join(try GroupName("g\(number)"), layer.openFeed(heard))
                    }
                    let channel = try await layer.newChannel(prefix: "specific")
                    try await layer.groupAdd(try GroupName("g"), channel)
                    try await layer.send(self.hello, to: channel)
                    #expect(try await client.run("DBSIZE").integer ?? 0 > 300)
                }
                #expect(try await client.run("KEYS", "*") == .array([]))
            }
        }
    }

    @Test func aNormalChannelUsesAllHostsInTurn() async throws {
        let servers = try await [RedisServerProcess.start(), .start(), .start()]
        defer { for server in servers { server.stop() } }
        try await withLayer(servers.map(\.endpoint)) { layer, _ in
            let channel = try ChannelName("work")
            for number in 0..<6 { try await layer.send(test(number), to: channel) }
            for server in servers { #expect(try await server.command("ZCARD", "asgiwork") == "2") }
            var numbers: Set<Int?> = []
            for _ in 0..<6 { numbers.insert(try await layer.receive(from: channel).testNumber) }
            #expect(numbers == Set(0..<6))
        }
    }

    @Test func whatACancelledReaderTookGoesBack() async throws {
        try await withRedis { server in
            try await withLayer([server.endpoint]) { leaver, _ in
                try await withLayer([server.endpoint]) { stayer, _ in
                    let channel = try ChannelName("work")
                    for number in 0..<20 {
                        let wait = Task { try? await leaver.receive(from: channel).testNumber }
                        await Task.yield()
                        wait.cancel()
                        try await stayer.send(test(number), to: channel)
                        let taken = await wait.value
                        let found =
                            if let taken { taken } else { try await stayer.receive(from: channel).testNumber }
                        #expect(found == number)
                    }
                }
            }
        }
    }

    @Test func anInboxHearsWhatIsSentToItAndToItsGroups() async throws {
        try await withRedis { server in
            try await withLayer([server.endpoint]) { layer, _ in
                try await withLayer([server.endpoint]) { other, _ in
                    let heard = InboxRecorder()
                    let inbox = try #require(layer.openInbox(heard))
                    try await other.send(test(1), to: inbox.channel)
                    let group = try GroupName("g")
                    try await other.groupAdd(group, inbox.channel)
                    try await other.send(test(2), toGroup: group)
                    #expect(await heard.recorder.arrivals(2).map(\.message.testNumber) == [1, 2])
                    inbox.close()
                    try await other.send(test(3), to: inbox.channel)
                    #expect(heard.recorder.arrivals.count == 2)
                }
            }
        }
    }

    private final class InboxRecorder: InboxListener {
        let recorder = FeedRecorder()
        func arrived(_ message: LayerMessage) { self.recorder.arrived(message, in: GroupName(unchecked: "inbox")) }
    }
}

extension ByteBuffer {
    /// Members of groups have none, and are shorter.
    fileprivate var withoutRandomPrefix: ByteBuffer {
        self.getSlice(at: self.readerIndex + 12, length: self.readableBytes - 12) ?? self
    }
}
