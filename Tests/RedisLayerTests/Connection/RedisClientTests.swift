import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import RedisLayer

/// Each against a redis-server of its own.
@Suite(.timeLimit(.minutes(2)), .serialized) struct RedisClientTests {
    @Test func answersComeInTheOrderOfTheCommands() async throws {
        try await withRedis { server in
            try await withClient(server.endpoint) { client in
                let seen = Mutex<[Int64]>([])
                for number in 0..<10_000 {
                    client.client.send(.words(["INCR", "counter"])) { result in
                        if case .success(.integer(let value)) = result { seen.withLock { $0.append(value) } }
                        _ = number
                    }
                }
                let answer0 = try await client.run("GET", "counter")
                #expect(answer0 == .bulk(ByteBuffer(string: "10000")))
                #expect(seen.withLock { $0 } == Array(1...10_000))
                #expect(client.events.connections == 1)
            }
        }
    }

    @Test func manyThreadsShareAClient() async throws {
        try await withRedis { server in
            try await withClient(server.endpoint) { client in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for task in 0..<8 {
                        group.addTask {
                            for number in 1...200 {
                                let answer = try await client.run("INCR", "counter-\(task)")
                                #expect(answer == .integer(Int64(number)))
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
    }

    @Test func aLargeValueGoesAndComesBack() async throws {
        try await withRedis { server in
            try await withClient(server.endpoint) { client in
                let value = ByteBuffer(bytes: (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
                for round in 0..<3 {
                    var command = RedisCommand("SET")
                    command.append("large-\(round)")
                    command.append(value)
                    let answer1 = try await client.client.send(command)
                    #expect(answer1 == .simple("OK"))
                    let answer2 = try await client.run("GET", "large-\(round)")
                    #expect(answer2 == .bulk(value))
                }
            }
        }
    }

    @Test func errorsOfTheServerAreToldApart() async throws {
        var options = RedisServerProcess.Options()
        options.lines = ["maxmemory 1"]
        try await withRedis(options) { server in
            try await withClient(server.endpoint) { client in
                #expect(await client.failure("SET", "key", "value")?.code == .outOfMemory)
                #expect(await client.failure("NOSUCHCOMMAND")?.code == .server)
                try await server.command("CONFIG", "SET", "maxmemory", "0")
                try await server.command("REPLICAOF", "127.0.0.1", "1")
                let readOnly = await client.failure("SET", "key", "value")
                #expect(readOnly?.code == .readOnly)
                #expect(readOnly?.layerError.code == .refused)
                try await server.command("REPLICAOF", "NO", "ONE")
                #expect(try await client.run("SET", "key", "value") == .simple("OK"))
                #expect(client.events.connections == 1, "an error is no reason to reconnect")
            }
        }
    }

    @Test func scriptsAreToldOnceAndAgainWhenForgotten() async throws {
        try await withRedis { server in
            try await withClient(server.endpoint) { client in
                let script = RedisScript("return redis.call('RPUSH', KEYS[1], ARGV[1])")
                @Sendable func push(_ number: Int) -> RedisCommand {
                    var command = RedisCommand(running: script, keys: 1)
                    command.append("list")
                    command.append(number)
                    return command
                }
                #expect(try await client.client.send(push(0)) == .integer(1))
                try await server.command("SCRIPT", "FLUSH")
                let failures = Mutex(0)
                for number in 1..<1_000 {
                    client.client.send(push(number)) { if case .failure = $0 { failures.withLock { $0 += 1 } } }
                    if number == 500 { try await server.command("SCRIPT", "FLUSH") }
                }
                // Behind all of them, wherever they are on their way.
                #expect(try await client.client.send(push(1_000)) == .integer(1_001))
                let list = try await client.run("LRANGE", "list", "0", "-1").array?.compactMap(\.integer)
                #expect(list == Array(0...1_000), "in order, each once")
                #expect(failures.withLock { $0 } == 0)
                let bad = RedisScript("return redis.call('NOSUCH')")
                await #expect(throws: RedisError.self) {
                    try await client.client.send(RedisCommand(running: bad, keys: 0))
                }
                let broken = RedisScript("this is no Lua")
                let error = await #expect(throws: RedisError.self) {
                    try await client.client.send(RedisCommand(running: broken, keys: 0))
                }
                #expect(error?.code == .noScript)
            }
        }
    }

    @Test func aLateAnswerEndsTheConnectionAndAllThatWaits() async throws {
        try await withRedis { server in
            // What is answered is answered within it, on a busy machine too.
            try await withClient(server.endpoint, { $0.timeLimit = .milliseconds(1_500) }) { client in
                try await client.run("SET", "key", "0")
                try server.pause()
                async let first = client.failure("INCR", "key")
                async let second = client.failure("INCR", "key")
                #expect(await [first, second].compactMap(\.self?.code) == [.timedOut, .timedOut])
                server.resume()
                await client.events.connections(2)
                let value = try await client.run("GET", "key").integer ?? -1
                #expect(value <= 2, "sent once at the most")
            }
        }
    }

    @Test func aBlockingCommandHasItsTime() async throws {
        try await withRedis { server in
            try await withClient(server.endpoint, { $0.timeLimit = .milliseconds(1_500) }) { client in
                async let popped = client.run("BZPOPMIN", "queue", "2", timeLimit: .seconds(30))
                async let next = client.run("PING")
                let answer3 = try await popped
                #expect(answer3 == .null)
                let answer4 = try await next
                #expect(answer4 == .simple("PONG"), "its time begins when it is the next")
            }
        }
    }

    @Test func commandsThatWereNotSentSurviveACutConnection() async throws {
        try await withRedis { server in
            try await withClient(server.endpoint, { $0.patience = .seconds(30) }) { client in
                try await client.run("PING")
                for number in 1...5 {
                    try await server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                    await client.events.losses(number)
                    #expect(try await client.run("INCR", "key") == .integer(Int64(number)))
                }
            }
        }
    }

    @Test func serviceResumesWhenTheServerIsBack() async throws {
        try await withRedis { server in
            try await withClient(server.endpoint, { $0.patience = .milliseconds(100) }) { client in
                try await client.run("PING")
                try await expectResumption { round in
                    server.kill()
                    await client.events.failures(client.events.failures.count + 3)
                    // A command that is offered now fails soon, or at once.
                    let error = await client.failure("SET", "key", "value")
                    #expect(error?.code == .unavailable)
                    #expect(error?.message.contains("\(server.port)") == true)
                    try await server.start()
                    let back = ContinuousClock.now
                    await client.events.connections(round + 1)
                    return ContinuousClock.now - back
                }
                #expect(try await client.run("GET", "key") == .null)
            }
        }
    }

    @Test func whatWaitsIsBounded() async throws {
        try await withRedis { server in
            try await withClient(server.endpoint, { $0.maximumCommands = 100 }) { client in
                try await client.run("PING")
                try server.pause()
                let refused = Mutex<[RedisError]>([])
                let done = Mutex(0)
                for _ in 0..<150 {
                    client.client.send(.words(["INCR", "key"])) { result in
                        done.withLock { $0 += 1 }
                        if case .failure(let error) = result { refused.withLock { $0.append(error) } }
                    }
                }
                let codes = refused.withLock { $0.map(\.code) }
                // Its last answer may still be on the account.
                #expect((50...51).contains(codes.count))
                #expect(Set(codes) == [.tooManyWaiting])
                server.resume()
                // There is room again as soon as they are answered.
                while done.withLock({ $0 }) < 150 { await Task.yield() }
                let value = try await client.run("INCR", "key")
                #expect(value == .integer(Int64(151 - codes.count)))
            }
        }
    }

    @Test func aClosedClientAnswersEverything() async throws {
        try await withRedis { server in
            let client = TestClient(server.endpoint)
            try await client.run("PING")
            try server.pause()
            async let waiting = client.failure("INCR", "key")
            await Task.yield()
            await client.client.close()
            await client.client.close()
            #expect(await waiting?.code == .closed)
            #expect(await client.failure("PING")?.code == .closed)
            server.resume()
        }
    }
}
