import HTTP1
import NIOCore
import NIOPosix
import Testing

@testable import Upstream

@Suite(.timeLimit(.minutes(1))) struct UpstreamClientTests {
    private func withClient(
        _ addresses: [UpstreamAddress], _ change: (inout UpstreamConfiguration) -> Void = { _ in },
        _ body: (UpstreamClient) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var configuration = UpstreamConfiguration(addresses: addresses)
        change(&configuration)
        let client = UpstreamClient(configuration, group: group, logger: .silent)
        let result: Result<Void, any Error>
        do { result = .success(try await body(client)) } catch { result = .failure(error) }
        client.shutDown()
        try await group.shutdownGracefully()
        try result.get()
    }

    private func get(_ client: UpstreamClient, _ target: String = "/") async throws -> UpstreamAnswer {
        try await client.ask(UpstreamRequest(method: "GET", target: target), timeout: .seconds(10), limit: 1_000)
    }

    private func code(_ body: () async throws -> Void) async -> UpstreamError.Code? {
        do {
            try await body()
            return nil
        } catch { return (error as? UpstreamError)?.code }
    }

    @Test func aWholeAnswerComesBack() async throws {
        let upstream = try FakeUpstream.answering {
            ok("\($0.firstLine)|\($0["host"] ?? "")|\($0["content-length"] ?? "")|\($0.body)", "X-A: b\r\n")
        }
        try await self.withClient([upstream.address]) { client async throws in
            var request = UpstreamRequest(method: "POST", target: "/ask?x", body: ByteBuffer(string: "{}"))
            request.fields.append("Content-Type", "application/json")
            let answer = try await client.ask(request, timeout: .seconds(10), limit: 1_000)
            #expect(answer.status == 200)
            #expect(answer.head.fields["x-a"] == "b")
            #expect(String(buffer: answer.body) == "POST /ask?x HTTP/1.1|127.0.0.1:\(upstream.port)|2|{}")
        }
    }

    @Test func connectionsAreKeptAndStaleOnesReplaced() async throws {
        let upstream = try FakeUpstream { socket, number in
            for _ in 0..<2 {
                _ = try socket.readMessage()
                try socket.send(ok("\(number)"))
            }
            _ = try socket.readMessage()
        }
        try await self.withClient([upstream.address]) { client async throws in
            var bodies: [String] = []
            for _ in 0..<4 { bodies.append(String(buffer: try await self.get(client).body)) }
            #expect(bodies == ["0", "0", "1", "1"])
        }
    }

    @Test(arguments: ["Content-Length: 2000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n7d0\r\n"])
    func anAnswerOverTheLimitIsGivenUp(_ start: String) async throws {
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            try socket.send("HTTP/1.1 200 OK\r\n" + start + String(repeating: "x", count: 2_000))
            _ = try? socket.readToEnd()
        }
        try await self.withClient([upstream.address]) { client async throws in
            #expect(await self.code { _ = try await self.get(client) } == .tooLarge)
        }
    }

    @Test func noAnswerInTimeIsAnError() async throws {
        let upstream = try FakeUpstream { socket, _ in _ = try? socket.readToEnd() }
        try await self.withClient([upstream.address], { $0.firstByteTime = .milliseconds(40) }) { client async throws in
            #expect(await self.code { _ = try await self.get(client) } == .timedOut)
        }
        try await self.withClient([upstream.address], { $0.keepAliveTime = .milliseconds(40) }) { client async throws in
            let code = await self.code {
                let request = UpstreamRequest(method: "GET", target: "/")
                _ = try await client.ask(request, timeout: .milliseconds(40), limit: 10)
            }
            #expect(code == .timedOut)
        }
    }

    @Test func nobodyThereIsAnErrorAndAfterwardsItIsAvoided() async throws {
        let worker = try FakeUpstream.answering { _ in ok("alive") }
        let dead = UpstreamAddress.tcp(host: "127.0.0.1", port: try FakeUpstream.deadPort())
        try await self.withClient([dead]) { client async throws in
            #expect(await self.code { _ = try await self.get(client) } == .unreachable)
        }
        try await self.withClient([dead, worker.address]) { client async throws in
            for _ in 0..<4 { #expect(String(buffer: try await self.get(client).body) == "alive") }
        }
    }

    @Test func anUpstreamThatComesBackIsUsedAgain() async throws {
        let port = try FakeUpstream.deadPort()
        try await self.withClient([.tcp(host: "127.0.0.1", port: port)]) { client async throws in
            #expect(await self.code { _ = try await self.get(client) } == .unreachable)
            // With nobody else to ask, the back-off does not keep it from being tried.
            let upstream = try FakeUpstream.answering(port: port) { _ in ok("back") }
            #expect(String(buffer: try await self.get(client).body) == "back")
            _ = upstream
        }
    }

    @Test func aNameIsResolved() async throws {
        let upstream = try FakeUpstream.answering { ok($0["host"] ?? "") }
        try await self.withClient([.tcp(host: "localhost", port: upstream.port)]) { client async throws in
            #expect(String(buffer: try await self.get(client).body) == "localhost:\(upstream.port)")
        }
    }

    @Test func theAnswerComesOnTheLoopThatWasNamed() async throws {
        let upstream = try FakeUpstream.answering { _ in ok("x") }
        let other = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        try await self.withClient([upstream.address]) { client async throws in
            let loop = other.next()
            let future = client.ask(
                UpstreamRequest(method: "GET", target: "/"), timeout: .seconds(10), limit: 10, on: loop)
            #expect(future.eventLoop === loop)
            #expect(try await future.get().status == 200)
        }
        try await other.shutdownGracefully()
    }

    @Test func manyQuestionsShareFewConnections() async throws {
        let upstream = try FakeUpstream.answering { ok($0.firstLine) }
        try await self.withClient([upstream.address], { $0.maxConnections = 2 }) { client async throws in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<60 {
                    group.addTask {
                        let answer = try await client.ask(
                            UpstreamRequest(method: "GET", target: "/\(number)"), timeout: .seconds(10), limit: 100)
                        return String(buffer: answer.body) == "GET /\(number) HTTP/1.1"
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
            #expect(upstream.connections <= 2)
        }
    }

    @Test func afterShuttingDownNothingIsAsked() async throws {
        let upstream = try FakeUpstream.answering { _ in ok("x") }
        try await self.withClient([upstream.address]) { client async throws in
            _ = try await self.get(client)
            client.shutDown()
            #expect(await self.code { _ = try await self.get(client) } == .cancelled)
        }
    }
}
