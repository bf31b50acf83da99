import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Router
@testable import Upstream

@Suite(.timeLimit(.minutes(1))) struct DrainTests {
    @Test func drainingClosesIdleConnectionsAndFinishesWhatRuns() async throws {
        let arrived = Mailbox<Int>()
        let goOn = Mailbox<Int>()
        let upstream = try FakeUpstream { socket, _ in
            while true {
                let isSlow = try socket.readMessage().firstLine.contains("slow")
                arrived.put(0)
                if isSlow { _ = try goOn.take() }
                try socket.send(ok("done"))
            }
        }
        try await withRouter(upstream) { router throws in
            let (idle, silent, busy) = (try router.connect(), try router.connect(), try router.connect())
            try idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try idle.readMessage().status == 200)
            _ = try arrived.take()
            try busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try arrived.take()
            let drained = Mailbox<Int>()
            Task {
                await router.router.drain(within: .seconds(20))
                drained.put(0)
            }
            #expect(idle.ends())
            #expect(silent.ends())
            #expect(throws: Socket.Failure.self) { try router.connect() }
            #expect(drained.count == 0)
            goOn.put(0)
            let answer = try busy.readMessage()
            #expect(answer.body == "done")
            #expect(answer["connection"] == "close")
            #expect(busy.ends())
            _ = try drained.take()
        }
    }

    @Test func whoWasToldThatTheConnectionStaysMayAskOnceMore() async throws {
        let halfSent = Mailbox<Int>()
        let goOn = Mailbox<Int>()
        let upstream = try FakeUpstream { socket, _ in
            while true {
                guard try socket.readMessage().firstLine.contains("halves") else {
                    try socket.send(ok("the last"))
                    continue
                }
                try socket.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
                halfSent.put(0)
                _ = try goOn.take()
                try socket.send("half")
            }
        }
        try await withRouter(upstream) { router throws in
            let (idle, browser) = (try router.connect(), try router.connect())
            try idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try idle.readMessage().status == 200)
            try browser.send("GET /halves HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try halfSent.take()
            // The head has reached the browser before the router begins to stop.
            let head = try browser.read(until: "\r\n\r\n")
            #expect(!head.lowercased().contains("connection: close"))
            let drained = Mailbox<Int>()
            Task {
                await router.router.drain(within: .seconds(20))
                drained.put(0)
            }
            // A quiet connection ends only after the router has begun to stop.
            #expect(idle.ends())
            goOn.put(0)
            #expect(try browser.readText(8) == "halfhalf")
            try browser.send("POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            let answer = try browser.readMessage()
            #expect(answer.body == "the last")
            #expect(answer["connection"] == "close")
            #expect(browser.ends())
            _ = try drained.take()
        }
    }

    @Test func whatTakesTooLongIsCut() async throws {
        let arrived = Mailbox<Int>()
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            arrived.put(0)
            _ = try? socket.readToEnd()
        }
        try await withRouter(upstream) { router throws in
            let busy = try router.connect()
            try busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try arrived.take()
            let drained = Mailbox<Int>()
            Task {
                await router.router.drain(within: .milliseconds(50))
                drained.put(0)
            }
            _ = try drained.take()
            #expect(busy.ends())
        }
    }

    @Test func anAddressInUseIsToldAndNothingStaysOpen() async throws {
        let (listener, port) = try FakeUpstream.listen()
        defer { close(listener) }
        var settings = configuration([])
        settings.listen = [.tcp(host: "127.0.0.1", port: port)]
        let router = Router(settings, group: MultiThreadedEventLoopGroup.singleton, logger: .silent)
        let error = await #expect(throws: ListenError.self) { try await router.start() }
        #expect(error?.description.contains("http://127.0.0.1:\(port): Address already in use") == true)
    }

    @Test func anInheritedSocketIsListenedOn() async throws {
        let (listener, port) = try FakeUpstream.listen()
        let upstream = try FakeUpstream.answering { _ in ok("inherited") }
        var settings = configuration([upstream.address])
        settings.listen = [.descriptor(listener), .tcp(host: "127.0.0.1", port: 0)]
        try await withRouter(settings) { router throws in
            let browser = try Socket.connect(port: port)
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage().body == "inherited")
        }
    }

    @Test func aSocketFileOfADeadProcessIsReplacedAndOfALivingOneNot() throws {
        let folder = try TestFolder()
        defer { folder.remove() }
        let path = folder.file("router.sock")
        let first = try #require(try ListeningSocket.open(.unix(path: path)).first)
        #expect(throws: ListenError.self) { try ListeningSocket.open(.unix(path: path)) }
        shutdown(first.descriptor, CInt(SHUT_RDWR))
        close(first.descriptor)
        let second = try #require(try ListeningSocket.open(.unix(path: path)).first)
        second.close()
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}
