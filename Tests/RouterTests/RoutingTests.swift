import Files
import Foundation
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import Router
@testable import Upstream

/// Routes over a live router: pools, files, redirects, and who is asked again.
@Suite(.timeLimit(.minutes(1))) struct RoutingTests {
    @Test func hostAndPathChooseThePool() async throws {
        let workers = try FakeUpstream.answering { _ in ok("workers") }
        let php = try FakeUpstream.answering { _ in ok("php") }
        var settings = configuration([workers.address])
        settings.pools = [NamedPool(name: "php", upstreams: UpstreamConfiguration(addresses: [php.address]))]
        settings.routes = [
            Route(host: HostPattern("blog.example.org"), path: "/", target: .pool(PoolNumber.firstNamed)),
            Route(path: "/php/", target: .pool(PoolNumber.firstNamed)),
            Route(path: "/old", target: .redirect(Redirect(to: "https://{host}/new{path}", status: 301))),
        ]
        try await withRouter(settings) { router throws in
            #expect(try router.get("/").body == "workers")
            #expect(try router.get("/php/x").body == "php")
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: BLOG.example.org:80\r\n\r\n")
            #expect(try browser.readMessage().body == "php")
            // A redirect keeps the connection, also after a body.
            try browser.send("POST /old/x?y HTTP/1.1\r\nHost: a.example:1\r\nContent-Length: 3\r\n\r\nabc")
            let moved = try browser.readMessage()
            #expect(moved.status == 301 && moved["location"] == "https://a.example/new/old/x")
            // An OPTIONS that may go no further is answered here.
            try browser.send("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
            let options = try browser.readMessage(hasBody: false)
            #expect(options.status == 204 && options["date"]?.hasSuffix(" GMT") == true)
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            // The upstream did not say when it answered.
            #expect(try browser.readMessage()["date"]?.hasSuffix(" GMT") == true)
            try browser.send("GET /./old HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage().status == 400)
        }
    }

    @Test func filesAreSentWholeInPartAndNotAtAll() async throws {
        let folder = try TestFolder()
        defer { folder.remove() }
        let large = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 % 251) }
        try Data(large).write(to: folder.url.appending(path: "large.bin"))
        try Data("<p>hello".utf8).write(to: folder.url.appending(path: "index.html"))
        try Data().write(to: folder.url.appending(path: "empty.txt"))
        var settings = configuration([])
        settings.routes = [
            Route(path: "/static/", target: .files(FileFolder(folder: folder.path, prefix: "/static/")))
        ]
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            func ask(_ line: String, _ more: String = "") throws -> Message {
                try browser.send("\(line) HTTP/1.1\r\nHost: a\r\n\(more)\r\n")
                return try browser.readMessage(hasBody: !line.hasPrefix("HEAD"))
            }
            let whole = try ask("GET /static/large.bin?v=1")
            #expect(whole.status == 200 && whole.bytes == large && whole["etag"] != nil)
            let part = try ask("GET /static/large.bin", "Range: bytes=10-19\r\n")
            #expect(part.status == 206 && part.bytes == Array(large[10..<20]))
            #expect(part["content-range"] == "bytes 10-19/300000")
            #expect(try ask("GET /static/large.bin", "Range: bytes=900000-\r\n").status == 416)
            let head = try ask("HEAD /static/large.bin")
            #expect(head.status == 200 && head["content-length"] == "300000")
            let same = try ask("GET /static/large.bin", "If-None-Match: \(whole["etag"] ?? "")\r\n")
            #expect(same.status == 304 && same["content-length"] == nil)
            let page = try ask("GET /static/")
            #expect(page.body == "<p>hello" && page["content-type"]?.hasPrefix("text/html") == true)
            #expect(try ask("GET /static/empty.txt")["content-length"] == "0")
            #expect(try ask("GET /static/none").status == 404)
            #expect(try ask("GET /static/.hidden").status == 404)
            #expect(try ask("DELETE /static/large.bin")["allow"] == "GET, HEAD")
            // Two requests at once are answered in order.
            try browser.send(
                "GET /static/large.bin HTTP/1.1\r\nHost: a\r\n\r\nGET /static/index.html HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage().bytes == large)
            #expect(try browser.readMessage().body == "<p>hello")
        }
    }

    @Test func aFileForASlowBrowserIsNotReadAhead() async throws {
        let folder = try TestFolder()
        defer { folder.remove() }
        let bytes = [UInt8](repeating: 7, count: 40_000_000)
        try Data(bytes).write(to: folder.url.appending(path: "big"))
        var settings = configuration([])
        settings.sendIdleTime = .milliseconds(200)
        settings.routes = [Route(path: "/", target: .files(FileFolder(folder: folder.path, prefix: "/")))]
        try await withRouter(settings) { router throws in
            let slow = try router.connect()
            try slow.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try slow.read(until: "\r\n\r\n")
            // Who takes nothing is cut off; who reads gets all. For a second at least, in which the loop that serves the one
            // finds the other; and again when a busy machine has kept the reader from reading for that long, too.
            let end = ContinuousClock.now + .seconds(1)
            var isWhole = false
            while !isWhole || ContinuousClock.now < end {
                if (try? router.get("/big").bytes.count) == bytes.count { isWhole = true }
            }
            var got = 0
            while let piece = try? slow.read(10_000) { got += piece.count }
            #expect(got < bytes.count)
        }
    }

    // MARK: Again, elsewhere

    @Test(arguments: ["", "HTTP/1.1 200 OK\r\nContent-Le"])
    func aRequestThatMayBeRepeatedGoesToAnotherUpstream(_ half: String) async throws {
        let dying = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            try socket.send(half)
        }
        let living = try FakeUpstream.answering { ok("\($0.firstLine) \($0.body)") }
        var settings = configuration([dying.address, living.address])
        // It is to be asked again and again.
        settings.workers.backOff = .nanoseconds(1)
        settings.workers.maxBackOff = .nanoseconds(1)
        try await withRouter(settings) { router throws in
            for _ in 0..<6 {
                #expect(try router.get("/").body == "GET / HTTP/1.1 ")
                let browser = try router.connect()
                try browser.send("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
                #expect(try browser.readMessage().body == "PUT /x HTTP/1.1 hello")
                try browser.send(
                    "PUT /y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
                #expect(try browser.readMessage().body == "PUT /y HTTP/1.1 abc")
            }
            #expect(dying.connections > 0)
        }
    }

    @Test(arguments: ["POST", "PATCH"]) func aRequestThatMayNotBeRepeatedGoesNowhereElse(_ method: String) async throws
    {
        let asked = Mailbox<Int>()
        func dying() throws -> FakeUpstream {
            try FakeUpstream { socket, _ in
                _ = try socket.readMessage()
                asked.put(0)
            }
        }
        let both = [try dying(), try dying()]
        try await withRouter(configuration(both.map(\.address))) { router throws in
            let browser = try router.connect()
            try browser.send("\(method) / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
            #expect(try browser.readMessage().status == 502)
            #expect(asked.count == 1)
            _ = both
        }
    }

    @Test func aBodyThatIsTooLargeToKeepIsNotSentAgain() async throws {
        let dying = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
        }
        let living = try FakeUpstream.answering { _ in ok("again") }
        var settings = configuration([dying.address, living.address])
        settings.workers.backOff = .nanoseconds(1)
        settings.workers.maxBackOff = .nanoseconds(1)
        try await withRouter(settings) { router throws in
            let answers = try (0..<4).map { _ in
                let browser = try router.connect()
                try browser.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
                try browser.send([UInt8](repeating: 1, count: 200_000))
                return try browser.readMessage().status
            }
            #expect(Set(answers) == [200, 502])
        }
    }

    // MARK: Health

    @Test func anUpstreamThatFailsItsChecksIsLeftAloneUntilItIsWell() async throws {
        let isWell = Mutex(false)
        let checked = Mailbox<Bool>()
        let sick = try FakeUpstream { socket, _ in
            while true {
                let request = try socket.readMessage()
                guard request.firstLine.contains("/up") else {
                    try socket.send(ok("sick"))
                    continue
                }
                let now = isWell.withLock { $0 }
                try socket.send(now ? ok("") : "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
                checked.put(now)
            }
        }
        let well = try FakeUpstream.answering { _ in ok("well") }
        var settings = configuration([sick.address, well.address])
        var check = HealthCheck(path: "/up")
        check.interval = .milliseconds(20)
        check.failures = 2
        settings.workers.healthCheck = check
        try await withRouter(settings) { router throws in
            func answers() throws -> Set<String> { Set(try (0..<10).map { _ in try router.get("/").body }) }
            // The answer is counted a moment after it was given: the third one's question comes after the second's.
            for _ in 0..<3 { _ = try checked.take() }
            #expect(try answers() == ["well"])
            isWell.withLock { $0 = true }
            var good = 0
            while good < 4 { good += try checked.take() ? 1 : 0 }
            #expect(try answers() == ["sick", "well"])
        }
    }

    @Test func tallyWantsAFewInARow() {
        var check = HealthCheck(path: "/")
        check.failures = 2
        check.successes = 3
        var tally = HealthTally()
        let outcomes = [false, true, false, false, true, true, false, true, true, true].map {
            tally.add(isGood: $0, check)
        }
        #expect(outcomes == [false, false, false, true, false, false, false, false, false, true])
        #expect(tally.isWell)
    }

    @Test func whoComesBackBeginsSlowly() throws {
        var settings = UpstreamConfiguration(addresses: [])
        settings.slowStart = .hours(1)
        let server = UpstreamServer(.tcp(host: "a", port: 1), configuration: settings, log: .silent)
        server.began()
        let usual = server.load
        server.failed("x")
        server.answered()
        #expect(server.load > 10 * usual)
        server.ended()
        #expect(server.load > usual)
    }
}
