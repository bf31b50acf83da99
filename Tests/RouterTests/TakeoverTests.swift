import Foundation
import NIOCore
import NIOPosix
import Settings
import Sockets
import TestSupport
import Testing

@testable import Router
@testable import Upstream

/// Routers that share one folder, started and stopped by the test in any order.
private final class Routers: Sendable {
    private let folder: TestFolder
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let upstream: FakeUpstream

    init() throws {
        self.upstream = try FakeUpstream.answering { _ in ok("worker") }
        self.folder = try TestFolder()
    }

    deinit {
        self.group.shutdownGracefully { _ in }
    }

    var takeover: String { self.folder.file("routers.sock") }
    var unix: String { self.folder.file("router.sock") }

    func start(port: Int, shares: Bool = true, lastMoment: TimeAmount = .milliseconds(10)) async throws -> Router {
        var settings = configuration([self.upstream.address])
        settings.listen = [.tcp(host: "127.0.0.1", port: port), .unix(path: self.unix)]
        settings.lastMoment = lastMoment
        settings.takeover = shares ? self.takeover : nil
        let router = Router(settings, group: self.group, logger: .silent)
        try await router.start()
        return router
    }

    func asks(_ port: Int) async throws -> String {
        try await blocking {
            let browser = try Socket.connect(port: port)
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return try browser.readMessage().body
        }
    }

    func connectsToFile() -> Bool {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        return UnixSocketAddress(path: self.unix)?.connect(descriptor) == true
    }
}

extension Router {
    fileprivate var port: Int {
        get throws {
            for case .tcp(_, let port) in self.boundAddresses { return port }
            throw Socket.Failure(description: "no TCP address")
        }
    }

    fileprivate func stop() async { await self.drain(within: .seconds(5)) }
}

@Suite(.timeLimit(.minutes(1))) struct TakeoverTests {
    @Test func routersComeAndGoAndTheSocketsStay() async throws {
        let routers = try Routers()
        let first = try await routers.start(port: 0)
        let port = try first.port
        let second = try await routers.start(port: port)
        #expect(try second.port == port)
        await first.stop()
        #expect(try await routers.asks(port) == "worker")
        #expect(routers.connectsToFile())
        // The first one is restarted, then the second one ends.
        let third = try await routers.start(port: port)
        await second.stop()
        #expect(try await routers.asks(port) == "worker")
        #expect(routers.connectsToFile())
        await third.stop()
        await #expect(throws: (any Error).self) { try await routers.asks(port) }
    }

    @Test func whoComesAfterTheLastOneOpensItsOwn() async throws {
        let routers = try Routers()
        let first = try await routers.start(port: 0)
        let port = try first.port
        await first.stop()
        // What the first one left: files that nobody listens behind.
        #expect(FileManager.default.fileExists(atPath: routers.takeover))
        let second = try await routers.start(port: port)
        #expect(try await routers.asks(port) == "worker")
        #expect(routers.connectsToFile())
        await second.stop()
    }

    @Test func aRouterThatSharesNothingFindsThePortTaken() async throws {
        let routers = try Routers()
        let first = try await routers.start(port: 0)
        let port = try first.port
        await #expect(throws: ListenError.self) { try await routers.start(port: port, shares: false) }
        await first.stop()
    }

    @Test func connectionsThatWaitInTheQueueAreAcceptedByTheOther() async throws {
        let routers = try Routers()
        let first = try await routers.start(port: 0)
        let port = try first.port
        let others = try await routers.start(port: port)
        await first.stop()
        for _ in 0..<50 { #expect(try await routers.asks(port) == "worker") }
        await others.stop()
    }

    @Test func whoConnectedBeforeTheStopMayStillAsk() async throws {
        let routers = try Routers()
        let router = try await routers.start(port: 0, lastMoment: .seconds(50))
        let port = try router.port
        // Accepted for certain: another one has been answered since.
        let silent = try await blocking { try Socket.connect(port: port) }
        _ = try await routers.asks(port)
        let stopped = Task { await router.stop() }
        // It listens no more, and still hears who is in.
        try await blocking {
            while (try? Socket.connect(port: port)) != nil { usleep(1_000) }
            try silent.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            let answer = try silent.readMessage()
            #expect(answer.body == "worker")
            #expect(silent.ends())
        }
        await stopped.value
    }
}
