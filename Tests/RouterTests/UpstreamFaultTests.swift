import Foundation
import NIOCore
import Testing

@testable import Router
@testable import Upstream

/// Upstreams that die, lie, stall or are not there.
@Suite(.timeLimit(.minutes(1))) struct UpstreamFaultTests {
    @Test func nobodyThereIs502() async throws {
        try await withRouter(configuration([.tcp(host: "127.0.0.1", port: FakeUpstream.deadPort())])) { router throws in
            let answer = try router.get("/")
            #expect(answer.status == 502)
            #expect(answer.body.contains("cannot be reached"))
        }
    }

    @Test func aFailureOfOursKeepsTheBrowsersConnection() async throws {
        try await withRouter(configuration([.unix(path: "/nowhere/worker.sock")])) { router throws in
            let browser = try router.connect()
            for _ in 0..<3 {
                try browser.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
                #expect(try browser.readMessage().status == 502)
            }
            try browser.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage(hasBody: false).status == 502)
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage().status == 502)
        }
    }

    @Test(arguments: [
        "", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 2", "not HTTP at all\r\n\r\n", "HTTP/1.1 99 Odd\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\n bad: folded\r\n\r\n", "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n", "\0\0\0\0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ])
    func noUsableHeadIs502(_ answer: String) async throws {
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            try socket.send(answer)
        }
        try await withRouter(upstream) { router throws in
            #expect(try router.get("/").status == 502)
        }
    }

    @Test func endlessInterimAnswersAre502() async throws {
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            for _ in 0..<1_000 { try socket.send("HTTP/1.1 102 Processing\r\n\r\n") }
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(try browser.readToEnd().contains("HTTP/1.1 502 "))
        }
    }

    @Test func anEndlessHeadIs502() async throws {
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            try socket.send("HTTP/1.1 200 OK\r\n")
            while true { try socket.send("X-More: \(String(repeating: "x", count: 1_000))\r\n") }
        }
        try await withRouter(upstream) { router throws in
            #expect(try router.get("/").status == 502)
        }
    }

    @Test(arguments: [
        "Content-Length: 10\r\n\r\n12345", "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nzz\r\n",
    ])
    func anAnswerCutShortIsCutShortAtTheBrowser(_ answer: String) async throws {
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            try socket.send("HTTP/1.1 200 OK\r\n" + answer)
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            let all = try browser.readToEnd()
            #expect(all.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(all.contains("12345"))
            #expect(!all.contains("\r\n0\r\n"))
        }
    }

    @Test func moreThanWasPromisedGoesToNobody() async throws {
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            try socket.send(ok("one") + "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned")
            _ = try? socket.readToEnd()
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            for _ in 0..<3 {
                try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(try browser.readMessage().body == "one")
            }
        }
    }

    @Test func noAnswerInTimeIs504AndTheConnectionIsNotUsedAgain() async throws {
        let upstream = try FakeUpstream { socket, number in
            _ = try socket.readMessage()
            if number > 0 { try socket.send(ok("second")) }
            _ = try? socket.readToEnd()
        }
        var settings = configuration([upstream.address])
        // The second one must be answered within it.
        settings.workers.firstByteTime = .milliseconds(1_500)
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage().status == 504)
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage().body == "second")
        }
    }

    @Test func anAnswerThatStopsEndsTheBrowsersConnection() async throws {
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            try socket.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123")
            _ = try? socket.readToEnd()
        }
        var settings = configuration([upstream.address])
        settings.workers.idleTime = .milliseconds(60)
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readToEnd().hasSuffix("\r\n\r\n123"))
        }
    }

    // MARK: Kept connections

    /// Answers one request per connection, and closes without a word once the next one has come.
    private func forgetful() throws -> FakeUpstream {
        try FakeUpstream { socket, number in
            _ = try socket.readMessage()
            try socket.send(ok("\(number)"))
            _ = try socket.readMessage()
        }
    }

    @Test func aStaleConnectionIsReplacedOnce() async throws {
        try await withRouter(try self.forgetful()) { router throws in
            let browser = try router.connect()
            for number in 0..<5 {
                try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(try browser.readMessage().body == "\(number)")
            }
        }
    }

    @Test func aRequestThatMayNotBeRepeatedIsNot() async throws {
        try await withRouter(try self.forgetful()) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage().body == "0")
            try browser.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
            #expect(try browser.readMessage().status == 502)
        }
    }

    @Test func aConnectionTheUpstreamClosedIsNotUsed() async throws {
        let closed = Mailbox<Int>()
        let upstream = try FakeUpstream { socket, number in
            _ = try socket.readMessage()
            try socket.send(ok("\(number)"))
            socket.endOutput()
            _ = try? socket.readToEnd()
            closed.put(number)
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            for number in 0..<3 {
                try browser.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
                #expect(try browser.readMessage().body == "\(number)")
                #expect(try closed.take() == number)
            }
        }
    }

    @Test func thousandsOfPipelinedRequestsThatFailAtOnceDoNotFillTheStack() async throws {
        var settings = configuration([])
        settings.gateways = []
        // On a busy machine reading the answers takes a while, in which the next head may stand half read.
        settings.headTime = .seconds(60)
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            let requests = Array(String(repeating: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", count: 20_000).utf8)
            Thread.detachNewThread { try? browser.send(requests) }
            for _ in 0..<20_000 { try #require(try browser.readMessage().status == 502) }
        }
    }

    // MARK: Several

    @Test func aDeadWorkersRequestsGoToTheOthers() async throws {
        let worker = try FakeUpstream.answering { ok($0.body) }
        let addresses = [UpstreamAddress.tcp(host: "127.0.0.1", port: try FakeUpstream.deadPort()), worker.address]
        try await withRouter(configuration(addresses)) { router throws in
            for _ in 0..<6 {
                let browser = try router.connect()
                try browser.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
                #expect(try browser.readMessage().body == "hi")
            }
        }
    }

    @Test func theLeastBusyWorkerIsAsked() async throws {
        let hold = Mailbox<Int>()
        let arrived = Mailbox<Int>()
        let workers = try (0..<2).map { number in
            try FakeUpstream { socket, _ in
                while true {
                    let isSlow = try socket.readMessage().firstLine.contains("/slow")
                    if isSlow {
                        arrived.put(number)
                        _ = try hold.take()
                    }
                    try socket.send(ok("\(number)"))
                }
            }
        }
        try await withRouter(configuration(workers.map(\.address))) { router throws in
            let busy = try router.connect()
            try busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            let slow = try arrived.take()
            for _ in 0..<6 { #expect(try router.get("/quick").body == "\(1 - slow)") }
            hold.put(0)
            #expect(try busy.readMessage().body == "\(slow)")
        }
    }

    @Test func aFullQueueIs503() async throws {
        let hold = Mailbox<Int>()
        let arrived = Mailbox<Int>()
        let upstream = try FakeUpstream { socket, _ in
            while true {
                _ = try socket.readMessage()
                arrived.put(0)
                _ = try hold.take()
                try socket.send(ok("late"))
            }
        }
        var settings = configuration([upstream.address])
        settings.workers.maxConnections = 1
        settings.workers.queueLimit = 1
        try await withRouter(settings) { router throws in
            let (first, second, third) = (try router.connect(), try router.connect(), try router.connect())
            try first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try arrived.take()
            try second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            try third.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            // One of the two is queued, and the other refused at once.
            let refused = try Socket.first(of: [second, third])
            #expect(refused.status == 503)
            #expect(refused["retry-after"] != nil)
            hold.put(0)
            #expect(try first.readMessage().body == "late")
            _ = try arrived.take()
            hold.put(0)
        }
    }

    @Test func waitingTooLongInTheQueueIs503() async throws {
        let arrived = Mailbox<Int>()
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            arrived.put(0)
            _ = try? socket.readToEnd()
        }
        var settings = configuration([upstream.address])
        settings.workers.maxConnections = 1
        settings.workers.queueTime = .milliseconds(50)
        try await withRouter(settings) { router throws in
            let first = try router.connect()
            try first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try arrived.take()
            #expect(try router.get("/").status == 503)
        }
    }
}

extension Socket {
    /// The message of whichever socket has one first.
    static func first(of sockets: [Socket]) throws -> Message {
        var entries = sockets.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        guard poll(&entries, nfds_t(entries.count), 10_000) > 0,
            let index = entries.firstIndex(where: { $0.revents != 0 })
        else { throw Socket.Failure(description: "no answer") }
        return try sockets[index].readMessage()
    }
}
