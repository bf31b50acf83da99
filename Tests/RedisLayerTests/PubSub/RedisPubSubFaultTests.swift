import ChannelLayer
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import RedisLayer

/// Hears a feed of numbered messages, many of them.
private final class NumberRecorder: GroupFeedListener {
    private struct State {
        var numbers: [Int] = []
        var interruptions = 0
        var restorations = 0
    }

    private let state = Mutex(State())

    func arrived(_ message: LayerMessage, in group: GroupName) {
        guard case .int(let number)? = message["number"] else { return }
        self.state.withLock { $0.numbers.append(Int(number)) }
    }

    func feedInterrupted(_ reason: LayerError) { self.state.withLock { $0.interruptions += 1 } }

    func feedRestored() { self.state.withLock { $0.restorations += 1 } }

    var numbers: [Int] { self.state.withLock { $0.numbers } }
    var count: Int { self.state.withLock { $0.numbers.count } }
    var interruptions: Int { self.state.withLock { $0.interruptions } }
    var restorations: Int { self.state.withLock { $0.restorations } }

    func arrivals(_ count: Int) async throws { while self.count < count { try await self.pause() } }

    func restored(_ count: Int) async throws { while self.restorations < count { try await self.pause() } }

    /// A turn of the tests' event loops, so that waiting does not take the time of what is waited for.
    private func pause() async throws {
        try Task.checkCancellation()
        try await testLoops.next().scheduleTask(in: .milliseconds(2)) {}.futureResult.get()
    }
}

/// What happens to pub/sub when a real Redis goes away, in all the ways it does.
@Suite(.timeLimit(.minutes(3)), .serialized) struct RedisPubSubFaultTests {
    /// A sender and a gateway at one server, and what became of the messages.
    private struct Site {
        let sender: RedisPubSubLayer
        let gateway: RedisPubSubLayer
        let drops = DropRecorder()
        let heard = NumberRecorder()
        let group = GroupName(unchecked: "news")

        init(_ hosts: [RedisEndpoint]) async throws {
            var configuration = RedisPubSubConfiguration()
            configuration.hosts = hosts
            self.sender = RedisPubSubLayer(
                configuration, loops: testLoops, observer: self.drops, logger: .silent)
            self.gateway = RedisPubSubLayer(configuration, loops: testLoops, observer: nil, logger: .silent)
            try await follow(self.group.text, by: self.gateway.openFeed(self.heard))
        }

        func submit(_ number: Int) {
            self.sender.submit(["type": "n", "number": .int(Int64(number))], toGroup: self.group, completion: nil)
        }

        var numbers: [Int] { self.heard.numbers }

        var dropped: Int { self.drops.dropped(.unavailable)["news"] ?? 0 }

        /// Sends until a message comes through.
        ///
        /// - Returns: how long that took.
        func untilHeard(from first: Int) async throws -> Duration {
            let start = ContinuousClock.now
            let before = self.heard.count
            var number = first
            while self.heard.count == before {
                try Task.checkCancellation()
                try? await self.sender.send(["type": "n", "number": .int(Int64(number))], toGroup: self.group)
                number += 1
                await Task.yield()
            }
            return ContinuousClock.now - start
        }

        func close() async {
            await self.sender.close()
            await self.gateway.close()
        }
    }

    /// In the order they were sent, and none twice.
    private func expectOrder(_ numbers: [Int]) {
        #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 })
    }

    @Test(arguments: [false, true]) func aServerThatIsStoppedAndStartedAgain(_ isPersistent: Bool) async throws {
        var options = RedisServerProcess.Options()
        options.isPersistent = isPersistent
        try await withRedis(options) { server in
            let site = try await Site([server.endpoint])
            for number in 0..<100 { site.submit(number) }
            try await site.heard.arrivals(100)
            server.kill()
            for number in 100..<200 { site.submit(number) }
            // As long as the issue says.
            try await Task.sleep(for: .seconds(5))
            #expect(site.heard.interruptions == 1)
            #expect(site.heard.restorations == 0)
            #expect(site.dropped == 100)
            try await server.start()
            let back = ContinuousClock.now
            try await site.heard.restored(1)
            #expect(ContinuousClock.now - back < .seconds(2))
            #expect(try await site.untilHeard(from: 1_000) < .seconds(2))
            #expect(ContinuousClock.now - back < .seconds(2))
            #expect(site.heard.interruptions == 1)
            self.expectOrder(site.numbers)
            await site.close()
        }
    }

    @Test func everyConnectionIsKilledAmongManyMessages() async throws {
        try await withRedis { server in
            let site = try await Site([server.endpoint])
            let count = 100_000
            let sending = Task {
                for number in 0..<count {
                    site.submit(number)
                    // As fast as it is carried, with some room.
                    if number.isMultiple(of: 1_000) {
                        while number - site.heard.count - site.dropped > 50_000, !Task.isCancelled {
                            await Task.yield()
                        }
                    }
                }
            }
            try await site.heard.arrivals(count / 4)
            for kind in ["normal", "pubsub"] {
                try await server.command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
            }
            await sending.value
            try await site.heard.restored(1)
            // The last of all comes through, so all others did or did not.
            let before = site.heard.count
            #expect(before <= count)
            #expect(try await site.untilHeard(from: count) < .seconds(2))
            let numbers = site.numbers
            self.expectOrder(numbers)
            #expect(numbers.count > count / 4)
            #expect(site.heard.interruptions == 1)
            #expect(
                numbers.count + site.dropped > count / 2, "nearly everything is carried or counted; the gap is told")
            await site.close()
        }
    }

    @Test func aServerThatFallsSilent() async throws {
        try await withRedis { server in
            let site = try await Site([server.endpoint])
            for number in 0..<100 { site.submit(number) }
            try await site.heard.arrivals(100)
            server.pause()
            for number in 100..<200 { site.submit(number) }
            try await Task.sleep(for: .seconds(10))
            #expect(site.heard.interruptions == 1)
            #expect(site.dropped == 100, "counted, because nobody knows")
            server.resume()
            let back = ContinuousClock.now
            try await site.heard.restored(1)
            #expect(ContinuousClock.now - back < .seconds(2))
            #expect(try await site.untilHeard(from: 1_000) < .seconds(2))
            self.expectOrder(site.numbers)
            await site.close()
        }
    }

    @Test func aServerWithoutMemoryAndAReplicaStillPublish() async throws {
        var options = RedisServerProcess.Options()
        options.lines = ["maxmemory 1"]
        try await withRedis(options) { server in
            let site = try await Site([server.endpoint])
            site.submit(0)
            try await site.heard.arrivals(1)
            try await server.command("CONFIG", "SET", "maxmemory", "0")
            try await server.command("REPLICAOF", "127.0.0.1", "1")
            #expect(try await site.untilHeard(from: 1) < .seconds(2))
            #expect(site.heard.interruptions == 0)
            await site.close()
        }
    }

    @Test func sentinelNamesAnotherMaster() async throws {
        let master = try await RedisServerProcess.start()
        defer { master.stop() }
        var options = RedisServerProcess.Options()
        options.replicaOf = master.port
        let replica = try await RedisServerProcess.start(options)
        defer { replica.stop() }
        try await replica.waitUntil(["INFO", "replication"]) { $0.contains("master_link_status:up") }
        let sentinel = try await RedisServerProcess.startSentinel(watching: "mymaster", at: master.port)
        defer { sentinel.stop() }
        try await sentinel.waitUntil(["SENTINEL", "REPLICAS", "mymaster"]) { $0.contains("\(replica.port)") }
        let sentinels = RedisEndpoint.Sentinels(
            addresses: [.tcp(host: "127.0.0.1", port: sentinel.port)], masterName: "mymaster")
        let site = try await Site([RedisEndpoint(.sentinels(sentinels))])
        site.submit(0)
        try await site.heard.arrivals(1)
        master.kill()
        try await sentinel.waitUntil(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"]) {
            $0.contains("\(replica.port)")
        }
        let back = ContinuousClock.now
        try await site.heard.restored(1)
        #expect(ContinuousClock.now - back < .seconds(2))
        #expect(site.heard.interruptions == 1)
        #expect(try await site.untilHeard(from: 1) < .seconds(2))
        await site.close()
    }

    @Test func aWrongPasswordNamesItsSetting() async throws {
        var options = RedisServerProcess.Options()
        options.password = "right"
        try await withRedis(options) { server in
            let layer = server.pubSubLayer { $0.hosts[0].credentials = .init(password: "wrong") }
            let follows = await #expect(throws: LayerError.self) {
                try await follow("g", by: layer.openFeed(FeedRecorder()))
            }
            let sends = await #expect(throws: LayerError.self) {
                try await layer.send(["type": "x"], toGroup: GroupName("g"))
            }
            for error in [follows, sends] {
                #expect(error?.code == .refused)
                #expect(error?.message.contains("channel_layers.default.config.hosts[0]") == true)
                #expect(error?.message.contains("wrong") == false)
            }
            await layer.close()
        }
    }
}
