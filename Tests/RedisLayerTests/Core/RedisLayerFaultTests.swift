import ChannelLayer
import Synchronization
import TestSupport
import Testing

@testable import RedisLayer

/// What a site lives through when its Redis does not.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RedisLayerFaultTests {
    private let group = GroupName(unchecked: "g")

    /// A server, a process that follows the group, and one that sends.
    private func site(
        _ options: RedisServerProcess.Options = .init(),
        _ body: (RedisServerProcess, NumberRecorder, RedisLayer, DropRecorder) async throws -> Void
    ) async throws {
        try await withRedis(options) { server in
            try await withLayer([server.endpoint]) { gateway, _ in
                try await withLayer([server.endpoint]) { sender, drops in
                    let heard = NumberRecorder()
                    let feed = gateway.openFeed(heard)
                    try await gateway.join(self.group, feed)
                    try await body(server, heard, sender, drops)
                    feed.close()
                }
            }
        }
    }

    /// Sends until it works again.
    private func sendWhenPossible(_ message: LayerMessage, _ sender: RedisLayer) async {
        while await sender.failure(of: message, to: self.group) != nil { await Task.yield() }
    }

    @Test(arguments: [false, true]) func aRedisThatComesBackIsUsedAgain(withData: Bool) async throws {
        var options = RedisServerProcess.Options()
        options.isPersistent = withData
        try await self.site(options) { server, heard, sender, _ in
            try await sender.send(test(1), toGroup: self.group)
            await heard.until(1)
            server.kill()
            #expect(await sender.failure(of: test(2), to: self.group) == .unavailable)
            try await server.start()
            await heard.restorations(1)
            await self.sendWhenPossible(test(3), sender)
            #expect(await heard.until(3) == [1, 3])
            #expect(heard.interruptions == 1, "one outage is one gap")
        }
    }

    @Test func killedConnectionsDeliverNothingTwiceAndTellTheGap() async throws {
        try await self.site { server, heard, sender, _ in
            let count = 20_000
            let failed = Mutex(0)
            let done = Mutex<CheckedContinuation<Void, Never>?>(nil)
            let answered = Mutex(0)
            for number in 0..<count {
                sender.submit(test(number), toGroup: self.group) { error in
                    if error != nil { failed.withLock { $0 += 1 } }
                    if answered.withLock({
                        $0 += 1; return $0 == count
                    }) {
                        done.withLock { $0 }?.resume()
                    }
                }
                if number == count / 2 { try await server.command("CLIENT", "KILL", "TYPE", "normal") }
            }
            await withCheckedContinuation { continuation in
                let isDone = done.withLock { done in
                    done = continuation
                    return answered.withLock { $0 } == count
                }
                if isDone { continuation.resume() }
            }
            await heard.restorations(1)
            await self.sendWhenPossible(test(count), sender)
            let numbers = await heard.until(count)
            #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 }, "in order, nothing twice")
            #expect(heard.interruptions == heard.restorations)
            // What Redis handed out when the connection broke is what the gap stands for; one fetch at the most.
            #expect(numbers.count + failed.withLock { $0 } >= count + 1 - 257)
        }
    }

    @Test func aRedisThatStandsStillIsLeftAndFoundAgain() async throws {
        try await self.site { server, heard, sender, _ in
            server.pause()
            #expect(await sender.failure(of: test(1), to: self.group) == .unavailable)
            while heard.interruptions == 0 { await Task.yield() }
            server.resume()
            await heard.restorations(1)
            await self.sendWhenPossible(test(2), sender)
            let numbers = await heard.until(2)
            #expect(Set(numbers).count == numbers.count, "nothing twice")
        }
    }

    @Test func aRedisWithoutMemoryRefusesAndRecovers() async throws {
        try await self.site { server, heard, sender, drops in
            try await server.command("CONFIG", "SET", "maxmemory", "1")
            #expect(await sender.failure(of: test(1), to: self.group) == .refused)
            sender.submit(test(2), toGroup: self.group, completion: nil)
            #expect(await sender.failure(of: test(3), to: self.group) == .refused)
            #expect(drops.dropped(.unavailable) == ["g": 1])
            try await server.command("CONFIG", "SET", "maxmemory", "0")
            try await sender.send(test(4), toGroup: self.group)
            #expect(await heard.until(4) == [4])
        }
    }

    @Test func aReadOnlyRedisRefusesAndRecovers() async throws {
        try await self.site { server, heard, sender, _ in
            try await server.command("REPLICAOF", "127.0.0.1", "1")
            while await sender.failure(of: test(1), to: self.group) == nil { await Task.yield() }
            try await server.command("REPLICAOF", "NO", "ONE")
            await self.sendWhenPossible(test(2), sender)
            await heard.until(2)
        }
    }

    @Test func whatWasDeletedIsJoinedAgain() async throws {
        try await self.site { server, heard, sender, _ in
            try await server.command("FLUSHALL")
            await heard.restorations(1)
            try await sender.send(test(1), toGroup: self.group)
            #expect(await heard.until(1) == [1])
        }
    }

    @Test func garbageInOurKeysHarmsNobody() async throws {
        try await withRedis { server in
            try await server.command("SET", "asgi:group:g", "no sorted set")
            try await withLayer([server.endpoint]) { layer, drops in
                let heard = FeedRecorder()
                let feed = layer.openFeed(heard)
                try await layer.join(self.group, feed)
                try await server.command("SET", "asgistranger", "no sorted set")
                for member in ["stranger", "no name!", "!", String(repeating: "a", count: 200)] {
                    try await server.command("ZADD", "asgi:group:g", "9000000000", member)
                }
                try await layer.send(test(1), toGroup: self.group)
                #expect(await heard.arrivals(1).map(\.message.testNumber) == [1])
                #expect(drops.dropped(.invalid) == ["g": 1])
                let member = try await server.command("ZRANGE", "asgi:group:g", "0", "0")
                let mailbox = "asgi" + member.prefix { $0 != "!" } + "!"
                for garbage in ["short", String(repeating: "x", count: 40)] {
                    try await server.command("ZADD", mailbox, "9000000000", garbage)
                }
                try await layer.send(test(2), toGroup: self.group)
                #expect(await heard.arrivals(2).count == 2)
                await withDeadline { drops.dropped(.undecodable).values.reduce(0, +) == 2 }
                try await server.command("SET", mailbox, "no sorted set")
                while await layer.failure(of: test(3), to: self.group) != nil { await Task.yield() }
                while heard.arrivals.last?.message.testNumber != 3 {
                    try await layer.send(test(3), toGroup: self.group)
                    await Task.yield()
                }
                feed.close()
            }
        }
    }

    /// Waits until `isDue`; the suite's time limit is the deadline.
    private func withDeadline(_ isDue: () -> Bool) async { while !isDue() { await Task.yield() } }

    @Test func aWrongPasswordIsToldWithItsSetting() async throws {
        var options = RedisServerProcess.Options()
        options.password = "right"
        try await withRedis(options) { server in
            var endpoint = server.endpoint
            endpoint.credentials = .init(password: "wrong")
            try await withLayer([endpoint]) { layer, _ in
                do throws(LayerError) {
                    try await layer.send(test(1), toGroup: self.group)
                    Issue.record("it was let in")
                } catch {
                    #expect(error.code == .refused)
                    #expect(error.message.contains("channel_layers.default.config.hosts[0]"))
                    #expect(!error.message.contains("wrong"))
                }
            }
            #expect(await RedisLayer.problems(reaching: [endpoint]).count == 1)
        }
    }
}

/// Hears a feed and keeps the numbers of its messages; also of very many.
private final class NumberRecorder: GroupFeedListener {
    private struct State {
        var numbers: [Int] = []
        var waiter: (number: Int, continuation: CheckedContinuation<Void, Never>)?
        var restored: (count: Int, continuation: CheckedContinuation<Void, Never>)?
        var interruptions = 0
        var restorations = 0
    }

    private let state = Mutex(State())

    var interruptions: Int { self.state.withLock { $0.interruptions } }
    var restorations: Int { self.state.withLock { $0.restorations } }

    func arrived(_ message: LayerMessage, in group: GroupName) {
        let number = message.testNumber ?? -1
        let waiter = self.state.withLock { state in
            state.numbers.append(number)
            return state.waiter?.number == number ? state.waiter.take() : nil
        }
        waiter?.continuation.resume()
    }

    func feedInterrupted(_ reason: LayerError) { self.state.withLock { $0.interruptions += 1 } }

    func feedRestored() {
        let waiter = self.state.withLock { state in
            state.restorations += 1
            return state.restored.map { $0.count <= state.restorations } == true ? state.restored.take() : nil
        }
        waiter?.continuation.resume()
    }

    /// Waits until a message of this number arrived, and gives all that did.
    @discardableResult
    func until(_ number: Int) async -> [Int] {
        await withCheckedContinuation { continuation in
            let isThere = self.state.withLock { state in
                if state.numbers.contains(number) { return true }
                state.waiter = (number, continuation)
                return false
            }
            if isThere { continuation.resume() }
        }
        return self.state.withLock { $0.numbers }
    }

    func restorations(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = self.state.withLock { state in
                if state.restorations >= count { return true }
                state.restored = (count, continuation)
                return false
            }
            if isThere { continuation.resume() }
        }
    }
}
