import HTTP1
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Telemetry
import Testing

@testable import Gateway

@Suite(.timeLimit(.minutes(1))) struct ProxyEndpointTests {
    /// An application that answers when the test says so.
    private final class Application: Sendable {
        private struct State {
            var requests: [(request: AskRequest, promise: EventLoopPromise<AskAnswer>)] = []
            var waiting: CheckedContinuation<Void, Never>?
        }
        private let state = Mutex(State())

        var ask: AskWorker {
            { request, loop in
                let promise = loop.makePromise(of: AskAnswer.self)
                self.state.withLock { state -> CheckedContinuation<Void, Never>? in
                    state.requests.append((request, promise))
                    defer { state.waiting = nil }
                    return state.waiting
                }?.resume()
                return promise.futureResult
            }
        }

        /// The next request, when it is there.
        func next() async -> (request: AskRequest, promise: EventLoopPromise<AskAnswer>) {
            await withCheckedContinuation { continuation in
                let isThere = self.state.withLock { state in
                    if state.requests.isEmpty { state.waiting = continuation }
                    return !state.requests.isEmpty
                }
                if isThere { continuation.resume() }
            }
            return self.state.withLock { $0.requests.removeFirst() }
        }
    }

    private func with(
        _ change: (inout ProxyConfiguration) -> Void, metrics: ProxyMetrics = ProxyMetrics(),
        _ body: (ProxyEndpoint, Application, any EventLoop) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        var configuration = ProxyConfiguration(.workers(path: "/ask"))
        configuration.staticFields = [.init(name: "X-Secret", value: "s")]
        change(&configuration)
        let application = Application()
        let endpoint = ProxyEndpoint(
            configuration, ask: application.ask, home: group.next(), metrics: metrics,
            log: BoundedLog(Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })))
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(endpoint, application, group.next()))
        } catch {
            outcome = .failure(error)
        }
        try await group.shutdownGracefully()
        try outcome.get()
    }

    private func question(_ channel: String, _ event: ProxyEvent = .subscribe) -> ProxyQuestion {
        ProxyQuestion(
            event, ProxyAsker(user: "42"), ProxyDetails(channel: channel),
            fields: [.init(name: "Cookie", value: "sessionid=abc")])
    }

    private func answer(_ text: String, status: Int = 200, _ fields: [(String, String)] = []) -> AskAnswer {
        AskAnswer(status: status, fields: HeaderFields(fields), body: ByteBuffer(string: text))
    }

    /// What the future gives; the macro does not take what may throw in these closures.
    private func expect(
        _ future: EventLoopFuture<ProxyAnswer>, _ wanted: ProxyAnswer, _ place: SourceLocation = #_sourceLocation
    ) async throws {
        let heard = try await future.get()
        #expect(heard == wanted, sourceLocation: place)
    }

    @Test func aQuestionIsARequestWithTheBrowsersCookies() async throws {
        try await self.with({ _ in }) { endpoint, application, loop in
            let future = endpoint.answer(to: self.question("a"), on: loop)
            let asked = await application.next()
            #expect(asked.request.head.method == "POST" && asked.request.head.target == "/ask")
            #expect(
                asked.request.head.fields["Cookie"] == "sessionid=abc" && asked.request.head.fields["X-Secret"] == "s")
            #expect(asked.request.head.fields["Content-Type"] == "application/json")
            #expect(
                String(buffer: asked.request.body)
                    == #"{"transport":"websocket","protocol":"json","encoding":"json","user":"42","channel":"a"}"#)
            asked.promise.succeed(self.answer(#"{"result":{"expire_at":5}}"#))
            var result = ProxyResult()
            result.expires = 5
            try await self.expect(future, .result(result))
        }
    }

    @Test func anAnswerIsRememberedAsLongAsItsCacheControlSays() async throws {
        try await self.with({ _ in }) { endpoint, application, loop in
            let first = endpoint.answer(to: self.question("a"), on: loop)
            await application.next().promise.succeed(self.answer("{}", [("Cache-Control", "private, max-age=600")]))
            try await self.expect(first, .nothing)
            try await self.expect(endpoint.answer(to: self.question("a"), on: loop), .nothing)
            let other = endpoint.answer(to: self.question("b"), on: loop)
            await application.next().promise.succeed(self.answer("{}"))
            try await self.expect(other, .nothing)
        }
    }

    @Test func whatGoesWrongIsAnAnswerToo() async throws {
        let no = ProxyAnswer.error(ClientError(403, "no"))
        try await self.with({ $0.statuses = [403: no] }) { endpoint, application, loop in
            for (status, text, wanted) in [
                (500, "", ProxyAnswer.failed(.status)), (204, "", .failed(.status)), (302, "", .failed(.status)),
                (200, "", .failed(.unreadable)), (200, "<html>", .failed(.unreadable)), (403, "<html>", no),
            ] {
                let future = endpoint.answer(to: self.question("a"), on: loop)
                await application.next().promise.succeed(self.answer(text, status: status))
                try await self.expect(future, wanted)
            }
            let future = endpoint.answer(to: self.question("a"), on: loop)
            await application.next().promise.fail(ChannelError.eof)
            try await self.expect(future, .failed(.unreachable))
        }
    }

    @Test func whatComesTogetherIsAskedTogether() async throws {
        try await self.with({ ($0.batchSize, $0.batchWindow) = (3, 60_000) }) { endpoint, application, loop in
            let futures = ["a", "b", "a", "c"].map { endpoint.answer(to: self.question($0), on: loop) }
            let asked = await application.next()
            #expect(asked.request.head.fields["Cookie"] == nil && asked.request.head.fields["X-Secret"] == "s")
            let body = String(buffer: asked.request.body)
            #expect(
                body.hasPrefix(#"{"questions":[{"event":"subscribe","headers":{"Cookie":"sessionid=abc"},"request":{"#))
            asked.promise.succeed(self.answer(#"{"answers":[{},{"error":{"code":403,"message":"no"}},{"result":{}}]}"#))
            var answers: [ProxyAnswer] = []
            for future in futures { answers.append(try await future.get()) }
            #expect(answers == [.nothing, .error(ClientError(403, "no")), .nothing, .result(ProxyResult())])
        }
    }

    @Test func aBatchThatIsNotFullGoesByItself() async throws {
        try await self.with({ ($0.batchSize, $0.batchWindow) = (100, 1) }) { endpoint, application, loop in
            let future = endpoint.answer(to: self.question("a"), on: loop)
            await application.next().promise.succeed(self.answer(#"{"answers":[{}]}"#))
            try await self.expect(future, .nothing)
        }
    }

    @Test func whatWaitsAndWhatMayRunIsShown() async throws {
        let registry = PrometheusRegistry()
        func shown(_ wanted: [String], _ place: SourceLocation = #_sourceLocation) {
            let lines = Set(registry.render().split(separator: "\n"))
            for (name, value) in zip(["waiting", "running", "concurrency"], wanted) {
                let line = "carillon_proxy_\(name){endpoint=\"/ask\"} \(value)"
                #expect(lines.contains(line[...]), "\(lines)", sourceLocation: place)
            }
        }
        try await self.with(
            {
                $0.endpoint = .workers(path: "/ask?secret=s")
                ($0.concurrency, $0.waiting) = (1, 1)
            }, metrics: ProxyMetrics(factory: registry)
        ) { endpoint, application, loop in
            shown(["0", "0", "1"])
            let first = endpoint.answer(to: self.question("a"), on: loop)
            let asked = await application.next()
            let second = endpoint.answer(to: self.question("b"), on: loop)
            // When this one is turned away the one before waits.
            try await self.expect(endpoint.answer(to: self.question("c"), on: loop), .failed(.overloaded))
            shown(["1", "1", "1"])
            asked.promise.succeed(self.answer("{}"))
            try await self.expect(first, .nothing)
            let next = await application.next()
            shown(["0", "1", "1"])
            next.promise.succeed(self.answer("{}"))
            try await self.expect(second, .nothing)
            shown(["0", "0", "1"])
            #expect(registry.render().contains("\ncarillon_proxy_wait_seconds_count 2\n"))
        }
    }

    @Test func fieldsAreThoseThatTheSettingsName() async throws {
        try await self.with({
            $0.fields.append("X-Forwarded-Proto")
            $0.emulatedFields = ["X-Tenant", "X-Bad"]
        }) { endpoint, _, _ in
            let request = HeaderFields([
                ("cookie", "a=1"), ("Cookie", "b=2"), ("X-Other", "x"), ("Origin", "http://x"),
                ("X-Forwarded-For", "made up"), ("X-Forwarded-Proto", "made up"),
            ])
            let client = ClientAddress(address: IPAddress("192.0.2.7"))
            let fields = endpoint.fields(
                of: request, from: client, emulated: ["x-tenant": "5", "X-Bad": "a\r\nb", "Cookie": "c=3"])
            #expect(
                fields.map { "\($0.name): \($0.value)" } == [
                    "Cookie: a=1; b=2", "Origin: http://x", "X-Forwarded-For: 192.0.2.7", "X-Tenant: 5",
                ])
        }
    }
}
