import ChannelLayer
import NIOCore
import TestSupport
import Testing

@testable import RedisLayer

/// A real Redis goes away, in all the ways it does. After each, service resumes by itself, nothing comes twice, what could
/// not be carried is counted, and the gap is told.
@Suite(.timeLimit(.minutes(3)), .serialized) struct RedisOutageTests {
    @Test(arguments: [false, true]) func aRedisStoppedForFiveSecondsIsUsedAgain(withItsData: Bool) async throws {
        var options = RedisServerProcess.Options()
        options.isPersistent = withItsData
        try await withRedis(options) { server in
            try await withSites([server.endpoint]) { sites in
                try await expectResumption { round in
                    try await outage(
                        round, of: sites, lasting: .seconds(5), begin: { server.kill() },
                        end: { try await server.start() })
                }
                for site in sites { site.heard.expectOrder() }
            }
        }
    }

    @Test func whatWasStoredBeforeTheStopIsReadAfterIt() async throws {
        var options = RedisServerProcess.Options()
        options.isPersistent = true
        try await withRedis(options) { server in
            try await withLayer([server.endpoint]) { layer, _ in
                let channel = ChannelName(unchecked: "work")
                try await layer.send(test(1), to: channel)
                server.kill()
                try await server.start()
                var heard: LayerMessage?
                while heard == nil { heard = try? await layer.receive(from: channel) }
                #expect(heard?.testNumber == 1)
            }
        }
    }

    @Test(arguments: RedisLayerKind.allCases)
    func everyConnectionIsKilledAmongManyMessages(_ kind: RedisLayerKind) async throws {
        try await withRedis { server in
            try await withSites([server.endpoint], of: [kind]) { sites in
                let site = sites[0]
                let count = 100_000
                let sending = Task {
                    for start in stride(from: 0, to: count, by: 1_000) {
                        site.submit(start..<start + 1_000)
                        // As fast as it is carried, with room for what the gap stands for.
                        while start - site.heard.count - site.dropped > 50_000, !Task.isCancelled { try await turn() }
                    }
                }
                try await site.heard.arrivals(count / 4)
                for type in ["normal", "pubsub"] {
                    try await server.command("CLIENT", "KILL", "TYPE", type, "SKIPME", "yes")
                }
                try await sending.value
                try await site.heard.restored(1)
                // When the last of all comes through, all others did or did not.
                try await site.untilHeard(from: count)
                site.heard.expectOrder()
                #expect(site.heard.interruptions == site.heard.restorations)
                let known = site.heard.count + site.dropped
                switch kind {
                // What Redis handed out when the connection broke is what the gap stands for: one fetch, and its first.
                case .core: #expect(known > count - 257)
                // Nothing is stored: what was published in the gap.
                case .pubSub: #expect(known > count / 2)
                }
            }
        }
    }

    @Test func aRedisThatStandsStillForTenSecondsIsLeftAndFoundAgain() async throws {
        var options = RedisClientOptions()
        // The longest wait, that of a reader for messages, is eight seconds.
        options.timeLimit = .seconds(3)
        try await withRedis { server in
            try await withSites([server.endpoint], options: options) { sites in
                try await expectResumption { round in
                    try await outage(
                        round, of: sites, lasting: .seconds(10),
                        begin: { try server.pause() }, end: { server.resume() })
                }
                for site in sites {
                    // Redis may still carry out what it was sent before; nobody sends it again.
                    let numbers = site.heard.numbers
                    #expect(Set(numbers).count == numbers.count, "\(site.kind): nothing twice")
                }
            }
        }
    }

    @Test func sentinelNamesAnotherMaster() async throws {
        try await expectResumption { _ in
            let servers = try await RedisSentinelServers.start()
            defer { servers.stop() }
            var time = Duration.zero
            // The sentinel takes half a second at least: nothing that is sent before then waits for the new master.
            var options = RedisClientOptions()
            options.patience = .milliseconds(100)
            try await withSites([servers.endpoint()], options: options) { sites in
                for site in sites {
                    site.submit(0..<100)
                    try await site.heard.arrivals(100)
                }
                servers.master.kill()
                for site in sites {
                    site.submit(100..<200)
                    try await site.dropped(100)
                }
                try await servers.promotion()
                let promoted = ContinuousClock.now
                for site in sites {
                    try await site.heard.restored(1)
                    try await site.untilHeard(from: 200)
                }
                time = ContinuousClock.now - promoted
                for site in sites {
                    #expect(site.heard.interruptions == site.heard.restorations, "\(site.kind)")
                    site.heard.expectOrder()
                }
            }
            return time
        }
    }

    @Test func whatWasDeletedIsJoinedAgain() async throws {
        try await withRedis { server in
            try await withSites([server.endpoint], of: [.core]) { sites in
                let site = sites[0]
                try await server.command("FLUSHALL")
                try await site.heard.restored(1)
                site.submit(1..<2)
                try await site.heard.arrivals(1)
            }
        }
    }
}

/// One outage: what is sent before it arrives, what is sent while it lasts is counted as dropped, and the gap is told once.
///
/// - Parameter round: how many there were, with this one.
/// - Returns: the time from its end until messages came through again.
private func outage(
    _ round: Int, of sites: [FaultSite], lasting time: Duration, begin: () throws -> Void, end: () async throws -> Void
) async throws -> Duration {
    let first = round * 10_000
    for site in sites {
        let before = site.heard.count
        site.submit(first..<first + 100)
        try await site.heard.arrivals(before + 100)
        // And answered for: who has no answer yet when Redis goes counts what was carried as dropped.
        #expect(await site.sender.failure(of: test(0), to: GroupName(unchecked: "nobody")) == nil)
    }
    try begin()
    for site in sites { site.submit(first + 100..<first + 200) }
    try await Task.sleep(for: time)
    for site in sites {
        try await site.heard.interrupted(round)
        try await site.dropped(round * 100)
    }
    try await end()
    let back = ContinuousClock.now
    for site in sites {
        try await site.heard.restored(round)
        try await site.untilHeard(from: first + 200)
    }
    let resumed = ContinuousClock.now
    for site in sites {
        #expect(site.dropped == round * 100, "\(site.kind): what was not carried, or nobody knows, and nothing else")
        #expect(site.heard.interruptions == round, "\(site.kind): one outage is one gap")
    }
    return resumed - back
}
