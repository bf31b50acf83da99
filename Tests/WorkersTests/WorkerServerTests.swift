import Foundation
import Files
import HTTP1
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import Workers

/// The server on real sockets.
@Suite(.timeLimit(.minutes(1)))
struct WorkerServerTests {
    private let echo = Ask { .text("\($0.method) \($0.path) \(String(buffer: $0.body))") }

    @Test func aRequestIsAnswered() async throws {
        try await withServer(self.echo) { server in
            let answer = try await server.post("/hello", "body")
            #expect(answer.status == 200)
            #expect(answer.body == "POST /hello body")
            #expect(answer["Content-Type"] == "text/plain; charset=utf-8")
            #expect(answer["Date"].flatMap(HTTPDate.seconds) != nil)
        }
    }

    @Test func aFullQueueIsRefusedAtOnce() async throws {
        let gate = Gate()
        let application = Ask { _ in
            gate.pass()
            return .text("done")
        }
        try await withServer(application, { ($0.threads, $0.queue) = (1, 1) }) { server in
            let running = try await server.connect()
            try running.send("GET /1 HTTP/1.1\r\nHost: test\r\n\r\n")
            await gate.waitForVisitors(1)
            let queued = try await server.connect()
            try queued.send("GET /2 HTTP/1.1\r\nHost: test\r\n\r\n")

            // The thread is held until the gate opens, so this answer can only come from the event loop. Requests on
            // different connections race to the queue: whoever comes third is refused.
            let third = try await server.connect()
            try third.send("GET /3 HTTP/1.1\r\nHost: test\r\n\r\n")
            let (winner, refused) = try await Self.firstToAnswer(queued, third)
            #expect(refused.status == 503)
            #expect(refused["Retry-After"] == "1")
            #expect(refused["Connection"] == nil)

            gate.open(2)
            #expect(try await running.answer().body == "done")
            #expect(try await winner.answer().body == "done")
        }
    }

    @Test func aRequestThatBlocksKeepsNoOtherWaitingHoweverQuickAllWereBefore() async throws {
        let gate = Gate()
        let application = Ask { request in
            if request.path == "/block" { gate.pass() }
            return .text(request.path)
        }
        try await withServer(application, { ($0.threads, $0.queue) = (2, 8) }) { server in
            let (blocked, other) = (try await server.connect(), try await server.connect())
            for _ in 0..<20 {
                for _ in 0..<20 {
                    try other.send("GET /quick HTTP/1.1\r\nHost: test\r\n\r\n")
                    #expect(try await other.answer().body == "/quick")
                }
                try blocked.send("GET /block HTTP/1.1\r\nHost: test\r\n\r\n")
                try other.send("GET /other HTTP/1.1\r\nHost: test\r\n\r\n")
                #expect(try await other.answer().body == "/other")
                gate.open()
                #expect(try await blocked.answer().body == "/block")
            }
        }
    }

    /// - Returns: the connection that has no answer yet, and the answer on the other.
    private static func firstToAnswer(_ one: Client, _ two: Client) async throws -> (Client, Answer) {
        var ready = [
            pollfd(fd: one.number, events: Int16(POLLIN), revents: 0),
            pollfd(fd: two.number, events: Int16(POLLIN), revents: 0),
        ]
        poll(&ready, 2, 20_000)
        let isFirst = ready[0].revents != 0
        return (isFirst ? two : one, try await (isFirst ? one : two).answer())
    }

    @Test func anOverdueRequestIsAnswered504AndItsThreadReplaced() async throws {
        let gate = Gate()
        let application = Ask { request in
            if request.path == "/stuck" { gate.pass() }
            return .text("late")
        }
        try await withServer(
            application,
            {
                $0.threads = 1
                // In which the other requests must be answered.
                $0.requestTimeout = .seconds(1)
            }
        ) { server in
            let client = try await server.connect()
            try client.send("GET /stuck HTTP/1.1\r\nHost: test\r\n\r\nGET /next HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(try await client.answer().status == 504)
            // On the same connection, by the thread in the stuck one's place.
            #expect(try await client.answer().body == "late")
            #expect(server.server.poolCounts.stuck == 1)
            gate.open()
            // What the stuck thread said in the end goes nowhere; it ends, and the pool is as large as before.
            #expect(try await server.get("/next").body == "late")
            while server.server.poolCounts.stuck > 0 { await Task.yield() }
            #expect(server.server.poolCounts.threads == 1)
        }
    }

    @Test func chunksArriveAsTheyAreMade() async throws {
        let gate = Gate()
        let made = Mutex(0)
        let application = Ask { _ in
            .stream(contentType: "text/plain") { body in
                for number in 1...3 {
                    made.withLock { $0 = number }
                    try body.write("chunk \(number)")
                    gate.pass()
                }
            }
        }
        try await withServer(application) { server in
            let client = try await server.connect()
            try client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(try await client.read(until: "\r\n\r\n").contains("Transfer-Encoding: chunked"))
            for number in 1...3 {
                #expect(try await client.chunk() == "chunk \(number)")
                #expect(made.withLock { $0 } == number)
                gate.open()
            }
            #expect(try await client.chunk() == nil)
        }
    }

    @Test func aStoppedReaderParksOnlyItsOwnThreadAndIsCutInTheEnd() async throws {
        let outcome = Monitor<String?>(nil)
        let application = Ask { request in
            guard request.path == "/flood" else { return .text("free") }
            return .stream(contentType: "text/plain") { body in
                do {
                    while true { try body.write(ByteBuffer(repeating: 65, count: 1_000_000)) }
                } catch {
                    outcome.signal { $0 = "\((error as? WorkerError)?.code ?? .init("other"))" }
                    throw error
                }
            }
        }
        try await withServer(
            application,
            {
                $0.threads = 2
                $0.writeTimeout = .milliseconds(1_500)
                $0.requestTimeout = .seconds(1)
            }
        ) { server in
            let stopped = try await server.connect()
            try stopped.send("GET /flood HTTP/1.1\r\nHost: test\r\n\r\n")
            for _ in 0..<5 { #expect(try await server.get("/free").body == "free") }
            let code = await withCheckedContinuation { continuation in
                Thread.detachNewThread {
                    continuation.resume(returning: outcome.wait(until: .now() + .seconds(20)) { $0 })
                }
            }
            #expect(code == "stalled")
            // Waiting for the reader was no fault of the application: no thread was given up.
            #expect(server.server.poolCounts.stuck == 0)
            #expect(try await !stopped.readToEnd().hasSuffix("0\r\n\r\n"))
        }
    }

    @Test func aVisitorWhoLeavesIsToldToTheApplication() async throws {
        let outcome = Monitor<String?>(nil)
        let gate = Gate()
        let application = Ask { _ in
            .stream(contentType: "text/plain") { body in
                do {
                    try body.write("first")
                    gate.pass()
                    while true { try body.write("more") }
                } catch {
                    outcome.signal { $0 = "\((error as? WorkerError)?.code ?? .init("other"))" }
                    throw error
                }
            }
        }
        try await withServer(application) { server in
            let client = try await server.connect()
            try client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            _ = try await client.read(until: "first")
            client.close()
            gate.open()
            let code = await withCheckedContinuation { continuation in
                Thread.detachNewThread {
                    continuation.resume(returning: outcome.wait(until: .now() + .seconds(20)) { $0 })
                }
            }
            #expect(code == "disconnected")
        }
    }

    @Test func aStreamThatFailsIsCutShort() async throws {
        struct Broken: Error {}
        let application = Ask { _ in
            .stream(contentType: "text/plain") { body in
                try body.write("half")
                throw Broken()
            }
        }
        try await withServer(application) { server in
            let client = try await server.connect()
            try client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            let text = try await client.readToEnd()
            #expect(text.hasSuffix("4\r\nhalf\r\n"))
        }
    }

    @Test(arguments: [("five!", true), ("four", false)])
    func aPromisedLengthIsKeptOrTheConnectionIsCut(_ text: String, _ isWhole: Bool) async throws {
        let application = Ask { _ in .stream(contentType: "text/plain", length: 5) { try $0.write(text) } }
        try await withServer(application) { server in
            let client = try await server.connect()
            try client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n")
            let all = { try await client.readToEnd() }
            if isWhole {
                let answer = try await client.answer()
                #expect(answer["Content-Length"] == "5" && answer.body == "five!")
                #expect(try await client.answer().body == "five!")
            } else {
                #expect(try await all().components(separatedBy: "HTTP/1.1 200").count == 2)
            }
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        try await withServer(self.echo, { $0.threads = 4 }) { server in
            let client = try await server.connect()
            let count = 2_000
            try client.send((1...count).map { "GET /\($0) HTTP/1.1\r\nHost: test\r\n\r\n" }.joined())
            for number in 1...count {
                let answer = try await client.answer()
                try #require(answer.body == "GET /\(number) ")
            }
        }
    }

    @Test func aRequestMayComeByteByByte() async throws {
        try await withServer(self.echo) { server in
            let client = try await server.connect()
            for byte in "POST /slow HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc" {
                try client.send(String(byte))
            }
            #expect(try await client.answer().body == "POST /slow abc")
        }
    }

    @Test func headIsAnsweredWithoutABody() async throws {
        let application = Ask { request in
            request.path == "/stream" ? .stream(contentType: "text/plain") { try $0.write("never") } : .text("12345")
        }
        try await withServer(application) { server in
            let client = try await server.connect()
            try client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(try await client.answer(toHead: true)["Content-Length"] == "5")
            #expect(try await client.answer(toHead: true).status == 200)
            try client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            #expect(try await client.answer().body == "12345")
        }
    }

    @Test func anOldClientGetsItsStreamToTheEndOfTheConnection() async throws {
        let application = Ask { _ in
            .stream(contentType: "text/plain") {
                try $0.write("a"); try $0.write("b")
            }
        }
        try await withServer(application) { server in
            let client = try await server.connect()
            try client.send("GET / HTTP/1.0\r\n\r\n")
            let answer = try await client.answer()
            #expect(answer.body == "ab" && answer["Transfer-Encoding"] == nil && answer["Connection"] == "close")
        }
    }

    @Test func aClientThatAsksFirstIsToldToContinue() async throws {
        try await withServer(self.echo, { $0.bodyLimit = 10 }) { server in
            let client = try await server.connect()
            try client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            #expect(try await client.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try client.send("abc")
            #expect(try await client.answer().body == "POST / abc")
            try client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n")
            #expect(try await client.answer().status == 413)
        }
    }

    @Test func aBodyBeyondTheLimitIsRefusedWithoutReadingIt() async throws {
        try await withServer(self.echo, { $0.bodyLimit = 1_000 }) { server in
            let client = try await server.connect()
            try client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1001\r\n\r\n")
            #expect(try await client.answer().status == 413)
            let chunked = try await server.connect()
            let chunk = "200\r\n" + String(repeating: "x", count: 512) + "\r\n"
            try chunked.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n\(chunk)\(chunk)")
            #expect(try await chunked.answer().status == 413)
        }
    }

    @Test(arguments: [
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: test\r\nContent-Length: -1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: test\r\nX: \(String(repeating: "x", count: 40_000))\r\n\r\n", 431),
        ("GET /%zz HTTP/1.1\r\nHost: test\r\n\r\n", 400),
        ("GET /%00 HTTP/1.1\r\nHost: test\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nExpect: tea\r\n\r\n", 417),
        ("GET / HTTP/2.0\r\nHost: test\r\n\r\n", 505),
    ])
    func whatIsNoRequestIsRefused(_ text: String, _ status: Int) async throws {
        try await withServer(self.echo) { server in
            let client = try await server.connect()
            try client.send(text)
            let answer = try await client.answer()
            #expect(answer.status == status)
            #expect(answer["Connection"] == "close")
            #expect(try await client.readToEnd() == "")
        }
    }

    @Test func aSlowHeadASlowBodyAndAnIdleConnectionAreEnded() async throws {
        try await withServer(
            self.echo,
            {
                $0.headTimeout = .milliseconds(50)
                $0.bodyTimeout = .milliseconds(50)
            }
        ) { server in
            let head = try await server.connect()
            try head.send("GET / HT")
            #expect(try await head.answer().status == 408)
            let body = try await server.connect()
            try body.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\na")
            #expect(try await body.answer().status == 408)
        }
        // Another one: those above may not have said their first byte within so little.
        try await withServer(self.echo, { $0.idleTimeout = .milliseconds(50) }) { server in
            let heard = try await server.connect().readToEnd()
            #expect(heard == "")
        }
    }

    @Test func oneConnectionTooManyIsRefused() async throws {
        try await withServer(self.echo, { $0.connections = 1 }) { server in
            let first = try await server.connect()
            try first.send("GET /1 HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(try await first.answer().status == 200)
            #expect(try await server.connect().answer().status == 503)
            try first.send("GET /2 HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(try await first.answer().status == 200)
        }
    }

    @Test func anApplicationThatThrowsCostsNobodyElse() async throws {
        struct Broken: Error {}
        let application = Ask { request in
            switch request.path {
            case "/throw": throw Broken()
            case "/split": WorkerResponse(fields: HeaderFields([("X", "a\r\nSet-Cookie: b")]))
            case "/status": WorkerResponse(status: 99)
            default: .text("well")
            }
        }
        try await withServer(application, { $0.threads = 1 }) { server in
            let thrown = try await server.get("/throw")
            #expect(thrown.status == 500)
            #expect(try await server.get("/status").status == 500)
            #expect(try await server.get("/split")["Set-Cookie"] == nil)
            #expect(try await server.get("/").body == "well")
        }
    }

    @Test func onlyATrustedProxyNamesTheVisitor() async throws {
        let application = Ask { .text($0.clientAddress ?? "nobody") }
        let forwarded = "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n"
        try await withServer(application) { server in
            let answer = try await server.get("/", forwarded)
            #expect(answer.body == "192.0.2.1")
            #expect(try await server.get("/").body == "127.0.0.1")
        }
        try await withServer(application, { $0.trustedProxies = [] }) { server in
            let answer = try await server.get("/", forwarded)
            #expect(answer.body == "127.0.0.1")
        }
        let folder = try TestFolder()
        defer { folder.remove() }
        let path = folder.file("worker.sock")
        try await withServer(
            application,
            {
                $0.trustedProxies = []
                $0.listen = .unix(path: path)
                $0.socketMode = 0o600
            }
        ) { server in
            #expect(try await server.get("/", forwarded).body == "192.0.2.1")
            #expect(try await server.get("/").body == "nobody")
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test func anInheritedSocketIsServed() async throws {
        let listener = try inheritedListener()
        defer { close(listener) }
        try await withServer(self.echo, { $0.listen = .descriptor(listener) }) { server in
            let answer = try await server.get("/x")
            #expect(answer.body == "GET /x ")
        }
        // Ours is still open: the next child takes it.
        try await withServer(self.echo, { $0.listen = .descriptor(listener) }) { server in
            let answer = try await server.get("/y")
            #expect(answer.body == "GET /y ")
        }
    }

    @Test func whatCannotBeListenedOnIsSaid() async throws {
        try await withServer(self.echo) { server in
            let port = try #require(server.server.boundAddress?.port)
            for listen in [
                WorkersConfiguration.Listen.tcp(host: "127.0.0.1", port: port), .descriptor(0), .descriptor(9_999),
            ] {
                let error = await #expect(throws: WorkerError.self) {
                    try await withServer(self.echo, { $0.listen = listen }) { _ in }
                }
                #expect(error?.code == .cannotStart)
            }
        }
    }

    @Test func largeAnswersArriveWhole() async throws {
        let application = Ask { _ in .text(String(repeating: "0123456789", count: 300_000)) }
        try await withServer(application) { server in
            let answer = try await server.get("/")
            #expect(answer.body.utf8.count == 3_000_000)
        }
    }

    @Test func aDrainLetsAnswersEndAndClosesTheRest() async throws {
        let gate = Gate()
        let application = Ask { _ in
            gate.pass()
            return .text("finished")
        }
        try await withServer(application) { server in
            let idle = try await server.connect()
            let busy = try await server.connect()
            try busy.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            await gate.waitForVisitors(1)
            let address = server.server.boundAddress
            async let drained: Void = server.server.drain(within: .seconds(20))
            #expect(try await idle.readToEnd() == "")
            await #expect(throws: (any Error).self) { try await Client(address) }
            gate.open()
            let answer = try await busy.answer()
            #expect(answer.body == "finished" && answer["Connection"] == "close")
            await drained
            #expect(try await busy.readToEnd() == "")
        }
    }

    @Test func aDrainThatTakesTooLongCuts() async throws {
        let gate = Gate()
        let application = Ask { _ in
            gate.pass()
            return .text("")
        }
        try await withServer(application) { server in
            let busy = try await server.connect()
            try busy.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            await gate.waitForVisitors(1)
            await server.server.drain(within: .milliseconds(50))
            #expect(try await busy.readToEnd() == "")
            gate.open()
        }
    }

    @Test func aWornOutWorkerSaysSoAndServesOn() async throws {
        try await withServer(self.echo, { $0.maxRequests = 4 }) { server in
            async let wornOut = server.server.waitUntilWornOut()
            // Six at the latest; four on one connection, the others on connections of their own.
            let client = try await server.connect()
            for _ in 0..<4 {
                try client.send("GET /kept HTTP/1.1\r\nHost: test\r\n\r\n")
                #expect(try await client.answer().status == 200)
            }
            for _ in 0..<2 { #expect(try await server.get("/new").status == 200) }
            #expect(await wornOut)
            #expect(try await server.post("/late", "x").status == 200)
        }
    }

    @Test func aDrainAnswersWhoAsksOnAQuietConnection() async throws {
        try await withServer(self.echo) { server in
            let kept = try await server.connect()
            try kept.send("GET /1 HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(try await kept.answer()["Connection"] == nil)
            async let drained: Void = server.server.drain(within: .seconds(20))
            try kept.send("POST /2 HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n")
            #expect(try await kept.answer().status == 200)
            #expect(try await kept.readToEnd() == "")
            await drained
        }
    }

    @Test func aRunningWorkerEndsWithStatusZeroAfterItsRequests() async {
        await #expect(processExitsWith: .success) {
            var configuration = WorkersConfiguration()
            configuration.listen = .tcp(host: "127.0.0.1", port: 0)
            configuration.maxRequests = 1
            let server = try WorkerServer(Ask { .text("Hello, \($0.path)\n") }, configuration: configuration)
            async let ended: Void = server.run(drainTime: .seconds(1))
            while server.boundAddress == nil { await Task.yield() }
            #expect(try await TestServer(server: server).get("/").status == 200)
            try await ended
        }
    }

    @Test func addressesToListenOnAreRead() throws {
        #expect(try WorkersConfiguration.Listen("fd://0") == .descriptor(0))
        #expect(try WorkersConfiguration.Listen("http://[::1]:80") == .tcp(host: "::1", port: 80))
        #expect(throws: WorkerError.self) { try WorkersConfiguration.Listen("localhost:80") }
    }

    @Test func aRunningWorkerEndsWhenItsProcessIsToldTo() async {
        await #expect(processExitsWith: .success) {
            var configuration = WorkersConfiguration()
            configuration.listen = .tcp(host: "127.0.0.1", port: 0)
            let server = try WorkerServer(Ask { .text("Hello, \($0.path)\n") }, configuration: configuration)
            async let ended: Void = server.run(drainTime: .seconds(1))
            while server.boundAddress == nil { await Task.yield() }
            kill(getpid(), SIGTERM)
            try await ended
        }
    }
}
