import ChannelLayer
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import RedisLayer

private let pubSub = ContractLayer(
    "redis_pubsub",
    [.flush, .processes, .history, .historyOrder, .historyInOneStep, .historyExpiry, .presence, .presenceExpiry]
) { limits in
    let server = try await RedisServerProcess.start()
    let drops = DropRecorder()
    var configuration = RedisPubSubConfiguration()
    configuration.hosts = [server.endpoint]
    configuration.presenceExpiry = limits.presenceExpiry
    return ContractBroker(
        drops: drops,
        connect: { [configuration] in
            RedisPubSubLayer(configuration, options: .patient, loops: testLoops, observer: drops, logger: .silent)
        },
        advance: { try await Task.sleep(for: $0) },
        close: { server.stop() })
}

private let twoHostsWithKeys = ContractLayer(
    "redis_pubsub, two hosts, encrypted", [.flush, .processes, .history, .presence]
) { _ in
    let servers = [try await RedisServerProcess.start(), try await RedisServerProcess.start()]
    let drops = DropRecorder()
    var configuration = RedisPubSubConfiguration()
    configuration.hosts = servers.map(\.endpoint)
    configuration.encryptionKeys = ["new", "old"]
    return ContractBroker(
        drops: drops,
        connect: { [configuration] in
            RedisPubSubLayer(configuration, loops: testLoops, observer: drops, logger: .silent)
        },
        close: { for server in servers { server.stop() } })
}

extension RedisServerProcess {
    /// A pub/sub layer on this server.
    func pubSubLayer(
        _ observer: (any LayerObserver)? = nil, _ change: (inout RedisPubSubConfiguration) -> Void = { _ in }
    ) -> RedisPubSubLayer {
        var configuration = RedisPubSubConfiguration()
        configuration.hosts = [self.endpoint]
        change(&configuration)
        return RedisPubSubLayer(configuration, loops: testLoops, observer: observer, logger: .silent)
    }
}

/// Waits until `feed` follows `group`.
func follow(_ text: String, by feed: any GroupFeed) async throws {
    let error = await withCheckedContinuation { continuation in
        feed.follow(GroupName(unchecked: text)) { continuation.resume(returning: $0) }
    }
    if let error { throw error }
}

@Suite(.timeLimit(.minutes(3))) struct RedisPubSubLayerTests {
    @Test(.serialized, arguments: pubSub.claims) func thePubSubLayerKeepsTheContract(_ claim: LayerClaim) async throws {
        try await claim.hold(for: pubSub)
    }

    @Test(.serialized, arguments: twoHostsWithKeys.claims)
    func severalHostsKeepTheContract(_ claim: LayerClaim) async throws { try await claim.hold(for: twoHostsWithKeys) }

    private struct File: Decodable {
        struct Text: Decodable { let hex: String }
        struct Step: Decodable {
            let dir: String
            let args: [Text]?
        }
        struct Case: Decodable {
            struct Config: Decodable {
                let serializer_format: String?
                let prefix: String?
                let symmetric_encryption_keys: [String]?
            }
            let name: String
            let traffic: [Step]
            let config: Config?
        }
        let cases: [Case]
    }

    /// What goes over the wire, and which names are subscribed, is what Python's layer does in the recording.
    @Test(arguments: [
        ("group-send", "room-1", "hi"), ("group-send-no-members", "nobody", nil), ("odd-group-name", "room é/1 x", nil),
        ("json-group-send", "room-1", "hé"), ("encrypted-group-send", "room-1", "hi"),
    ]) func groupsAreCarriedAsInTheRecording(_ name: String, _ group: String, _ text: String?) async throws {
        let message: LayerMessage = text.map { ["type": "chat.message", "text": .string($0)] } ?? ["type": "x"]
        let found = try vectors(File.self, "redis-pubsub.json").cases.first { $0.name == name }
        let recorded = try #require(found)
        let publish = try #require(recorded.traffic.last { $0.dir == "client" }?.args?.map { bytes(hex: $0.hex) })
        try #require(publish.count == 3 && String(buffer: publish[0]) == "PUBLISH")
        try await withRedis { server in
            let layer = server.pubSubLayer {
                $0.serializer = recorded.config?.serializer_format == "json" ? .json : .messagePack
                $0.prefix = recorded.config?.prefix ?? "asgi"
                $0.encryptionKeys = recorded.config?.symmetric_encryption_keys ?? []
            }
            let heard = FeedRecorder()
            let feed = layer.openFeed(heard)
            try await follow(group, by: feed)
            #expect(try await server.command("PUBSUB", "CHANNELS", "*__group__*") == String(buffer: publish[1]))
            // What Python published is heard.
            try await withClient(server.endpoint) { client in
                var command = RedisCommand("PUBLISH")
                command.append(publish[1])
                command.append(publish[2])
                let hearers = try await client.client.send(command)
                #expect(hearers == .integer(1))
            }
            #expect(await heard.arrivals(1).map(\.message) == [message])
            // What is sent is what Python published.
            let published = Mutex<[ByteBuffer]>([])
            let listener = RedisSubscriber(
                server.endpoint, .everywhere, options: .init(), eventLoop: testLoops.next(), logger: .silent,
                onEvent: { _ in }, onMessage: { payload, _ in published.withLock { $0.append(payload) } })
            let topic = RedisTopic(ChannelName(unchecked: String(buffer: publish[1])))
            let error = await withCheckedContinuation { continuation in
                listener.subscribe(topic) { continuation.resume(returning: $0) }
            }
            #expect(error == nil)
            try await layer.send(message, toGroup: GroupName(unchecked: group))
            while published.withLock({ $0.isEmpty }) { await Task.yield() }
            if recorded.config?.symmetric_encryption_keys == nil {
                #expect(published.withLock { $0 } == [publish[2]])
            } else {
                #expect(published.withLock { $0.first?.readableBytes } == publish[2].readableBytes)
            }
            await listener.close()
            feed.close()
            await layer.close()
        }
    }

    @Test func aChannelIsItsOwnName() async throws {
        try await withRedis { server in
            let layer = server.pubSubLayer()
            let channel = ChannelName(unchecked: "asgispecific.12a3ed72118c2a8e0cc0819f52e16900")
            async let received = layer.receive(from: channel)
            try await server.waitUntil(["PUBSUB", "CHANNELS"]) { $0.contains(channel.text) }
            try await layer.send(["type": "chat.message", "text": "hi"], to: channel)
            #expect(try await received == ["type": "chat.message", "text": "hi"])
            let group = try layer.groupName("room: 1/ü")
            #expect(throws: LayerError.self) { try layer.groupName("") }
            try await layer.groupAdd(group, channel)
            try await layer.send(["type": "to.group"], toGroup: group)
            #expect(try await layer.receive(from: channel).type == "to.group")
            try await layer.groupDiscard(group, channel)
            try await server.waitUntil(["PUBSUB", "CHANNELS"]) { !$0.contains("room") }
            let foreign = await #expect(throws: LayerError.self) {
                try await layer.groupAdd(group, ChannelName(unchecked: "elsewhere!1"))
            }
            #expect(foreign?.code == .unsupported)
            await layer.close()
        }
    }

    @Test func aGroupIsSubscribedOnceAndNoLongerThanWanted() async throws {
        try await withRedis { server in
            let layer = server.pubSubLayer()
            let feeds = [layer.openFeed(FeedRecorder()), layer.openFeed(FeedRecorder())]
            for feed in feeds { try await follow("g", by: feed) }
            #expect(try await server.command("PUBSUB", "NUMSUB", "asgi__group__g") == "asgi__group__g\n1")
            feeds[0].close()
            let channel = try await layer.newChannel()
            try await layer.groupAdd(GroupName("g"), channel)
            feeds[1].unfollow(GroupName(unchecked: "g"))
            #expect(try await server.command("PUBSUB", "NUMSUB", "asgi__group__g") == "asgi__group__g\n1")
            try await layer.groupDiscard(GroupName("g"), channel)
            try await server.waitUntil(["PUBSUB", "NUMSUB", "asgi__group__g"]) { $0.hasSuffix("\n0") }
            feeds[1].close()
            await layer.close()
            try await server.waitUntil(["CLIENT", "LIST"]) { $0.split(separator: "\n").count == 1 }
        }
    }

    @Test func garbageIsCountedAndHarmsNobody() async throws {
        try await withRedis { server in
            let drops = DropRecorder()
            let plain = server.pubSubLayer(drops)
            let heard = FeedRecorder()
            let feed = plain.openFeed(heard)
            try await follow("g", by: feed)
            for text in ["", "garbage", "{\"open\": ", "{\"a\": 1} more", "[]", "\u{0}"] {
                try await server.command("PUBLISH", "asgi__group__g", text)
            }
            try await plain.send(["type": "good"], toGroup: GroupName("g"))
            #expect(await heard.arrivals(1).map(\.message.type) == ["good"])
            #expect(drops.dropped(.undecodable) == ["g": 6])
            await plain.close()
            let sealed = server.pubSubLayer(drops) { $0.encryptionKeys = ["key"] }
            let other = server.pubSubLayer(drops) { $0.encryptionKeys = ["another"] }
            let secret = FeedRecorder()
            try await follow("s", by: sealed.openFeed(secret))
            try await other.send(["type": "x"], toGroup: GroupName("s"))
            try await server.command("PUBLISH", "asgi__group__s", "plain")
            try await sealed.send(["type": "good"], toGroup: GroupName("s"))
            #expect(await secret.arrivals(1).map(\.message.type) == ["good"])
            #expect(drops.dropped(.undecryptable) == ["s": 2])
            await sealed.close()
            await other.close()
        }
    }

    @Test func whatCannotBeSubscribedIsToldAndTheRestGoesOn() async throws {
        var options = RedisServerProcess.Options()
        options.users = ["limited on >pw ~* resetchannels &asgi__group__ok* +@all"]
        try await withRedis(options) { server in
            let layer = server.pubSubLayer { $0.hosts[0].credentials = .init(username: "limited", password: "pw") }
            let heard = FeedRecorder()
            let feed = layer.openFeed(heard)
            let error = await #expect(throws: LayerError.self) { try await follow("forbidden", by: feed) }
            #expect(error?.code == .refused)
            try await follow("ok", by: feed)
            try await layer.send(["type": "x"], toGroup: GroupName("ok"))
            #expect(await heard.arrivals(1).count == 1)
            let refused = await #expect(throws: LayerError.self) {
                try await layer.send(["type": "x"], toGroup: GroupName("forbidden"))
            }
            #expect(refused?.code == .refused)
            await layer.close()
        }
    }
}
