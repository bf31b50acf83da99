import Foundation
import NIOCore
import TestSupport
import Testing

@testable import Router
@testable import Upstream

/// What is no request the router takes, and who takes too long to say one.
@Suite(.timeLimit(.minutes(1))) struct RefusalTests {
    /// The shapes that two readers could understand differently, each followed by a request that must not be answered.
    @Test func noRefusedShapeReachesTheApplicationWhole() async throws {
        let reached = Mailbox<String>()
        let upstream = try FakeUpstream.answering { request in
            reached.put(request.firstLine)
            return ok("reached")
        }
        try await withRouter(upstream) { router throws in
            for shape in RequestShape.refused {
                let browser = try router.connect()
                try browser.send(shape.bytes + Array("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
                let answer = try browser.readMessage()
                #expect(answer.status == shape.status, "\(shape)")
                #expect(answer["connection"] == "close", "\(shape)")
                #expect(browser.ends(), "\(shape)")
                #expect(reached.count == 0, "\(shape)")
            }
        }
    }

    @Test func everyTakenShapeIsAnswered() async throws {
        let upstream = try FakeUpstream { socket, _ in
            while true {
                let hasBody = try !socket.readMessage().firstLine.hasPrefix("HEAD")
                try socket.send(hasBody ? ok("reached") : "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
            }
        }
        try await withRouter(upstream) { router throws in
            for shape in RequestShape.taken {
                let browser = try router.connect()
                try browser.send(shape.bytes)
                let status = Message(head: try browser.read(until: "\r\n\r\n")).status
                let isOurs = ["CONNECT", "TRACE"].contains { shape.bytes.starts(with: $0.utf8) }
                #expect(status == (isOurs ? 405 : 200), "\(shape)")
            }
        }
    }

    @Test func whatIsTooLongHasAStatusOfItsOwn() async throws {
        let upstream = try FakeUpstream.answering { _ in ok("reached") }
        try await withRouter(upstream) { router throws in
            let long = String(repeating: "x", count: 40_000)
            for (request, status) in [
                ("GET /\(long) HTTP/1.1\r\nHost: a\r\n\r\n", 414),
                ("GET / HTTP/1.1\r\nHost: a\r\nX: \(long)\r\n\r\n", 431),
                ("GET / HTTP/1.1\r\nHost: a\r\n\(String(repeating: "A: b\r\n", count: 200))\r\n", 431),
            ] {
                let browser = try router.connect()
                try browser.send(request)
                #expect(try browser.readMessage().status == status)
            }
            #expect(upstream.connections == 0)
        }
    }

    // MARK: Slow and silent

    @Test func aSilentConnectionIsClosed() async throws {
        var settings = configuration([])
        settings.headTime = .milliseconds(50)
        settings.gateways = [GatewayEndpoint(address: .unix(path: "/nowhere/gateway.sock"))]
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            #expect(browser.ends())
        }
    }

    @Test func twoThousandSilentConnectionsCostNobodyElseAnything() async throws {
        let upstream = try FakeUpstream.answering { _ in ok("still here") }
        var settings = configuration([upstream.address])
        settings.gateways = [GatewayEndpoint(address: .unix(path: "/nowhere/gateway.sock"))]
        settings.undecidedLimit = 1_000
        try await withRouter(settings) { router throws in
            let silent = try (0..<2_000).map { _ in try router.connect() }
            #expect(try router.get("/").body == "still here")
            // The oldest had to make room for the newest; the newest still has its say.
            #expect(silent[0].ends())
            try silent[1_999].send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try silent[1_999].readMessage().body == "still here")
        }
    }

    @Test func aHeadThatTakesTooLongIs408() async throws {
        var settings = configuration([])
        // In which the browser must have said something: who is silent gets no answer.
        settings.headTime = .seconds(1)
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\nX: ")
            #expect(try browser.readMessage().status == 408)
            #expect(browser.ends())
        }
    }

    @Test func aTrickleOfBytesDoesNotBuyTime() async throws {
        var settings = configuration([])
        settings.headTime = .milliseconds(200)
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            let end = ContinuousClock.now + .seconds(5)
            while ContinuousClock.now < end {
                var entry = pollfd(fd: browser.descriptor, events: Int16(POLLIN), revents: 0)
                if poll(&entry, 1, 10) > 0 { break }
                try browser.send("G")
            }
            #expect(ContinuousClock.now < end)
        }
    }

    @Test func aBodyThatStopsIs408AndTheWorkerIsFreed() async throws {
        let ended = Mailbox<Int>()
        let upstream = try FakeUpstream { socket, _ in
            _ = try? socket.readToEnd()
            ended.put(0)
        }
        var settings = configuration([upstream.address])
        settings.bodyIdleTime = .milliseconds(80)
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            try browser.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
            #expect(try browser.readMessage().status == 408)
            _ = try ended.take()
        }
    }

    @Test func aBrowserThatLeavesInTheBodyFreesTheWorker() async throws {
        let (begun, ended) = (Mailbox<Int>(), Mailbox<Int>())
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.read(until: "12345")
            begun.put(0)
            _ = try? socket.readToEnd()
            ended.put(0)
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
            _ = try begun.take()
            browser.endOutput()
            #expect(browser.ends())
            _ = try ended.take()
        }
    }

    @Test func anIdleConnectionIsClosed() async throws {
        let upstream = try FakeUpstream.answering { _ in ok("x") }
        var settings = configuration([upstream.address])
        settings.keepAliveTime = .milliseconds(80)
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage().body == "x")
            #expect(browser.ends())
        }
    }

    @Test func withoutDescriptorsAcceptingPausesAndResumes() async throws {
        // In a process of its own, because the limit is the whole process'.
        await #expect(processExitsWith: .success) {
            let upstream = try FakeUpstream.answering { _ in ok("alive") }
            try await withRouter(upstream) { router throws in
                #expect(try router.get("/").body == "alive")
                // Their descriptors are there already, so that only the router needs new ones.
                let browsers = try (0..<40).map { _ in try Socket.unconnected() }
                let highest = try Socket.unconnected()
                var limit = rlimit()
                getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                let usual = limit.rlim_cur
                limit.rlim_cur = rlim_t(highest.descriptor) + 1
                setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                for browser in browsers {
                    try browser.connect(port: router.port)
                    try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                }
                // At least the last ones wait in the backlog, and nobody turns them away.
                var entry = pollfd(fd: browsers[39].descriptor, events: Int16(POLLIN), revents: 0)
                #expect(poll(&entry, 1, 300) == 0)
                limit.rlim_cur = usual
                setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                for browser in browsers { #expect(try browser.readMessage().status >= 200) }
                #expect(try router.get("/").body == "alive")
            }
        }
    }
}
