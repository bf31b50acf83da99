import CDescriptors
import Foundation
import NIOCore
import Sockets
import Synchronization
import TestSupport
import Testing

@testable import Router
@testable import Upstream

/// A gateway's end of the hand-off: a SEQPACKET socket, and a thread that answers on each socket it gets.
private final class FakeGateway: Sendable {
    /// Each descriptor is closed by the thread that waits at it, and by nobody else: its number may be another's at once.
    private final class Life: Sendable {
        let state = Mutex((line: CInt(-1), isOver: false))
    }

    private let folder: TestFolder
    private let listener: CInt
    private let life = Life()
    private let goesOn = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - stands: it accepts the router's line, and takes nothing until `goOn`.
    ///   - dead: whose place it takes.
    init(name: String, stands: Bool = false, insteadOf dead: FakeGateway? = nil) throws {
        self.folder = try dead?.folder ?? TestFolder()
        let path = self.folder.file("gateway.sock.handoff")
        unlink(path)
        let type = CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let listener = socket(AF_UNIX, type, 0)
        self.listener = listener
        guard UnixSocketAddress(path: path)?.bind(listener) == true, listen(listener, 8) == 0 else {
            throw Socket.Failure(description: "bind: \(String(cString: strerror(errno)))")
        }
        if !stands { self.goOn() }
        Thread.detachNewThread { [life, goesOn] in
            while case let line = accept(listener, nil, nil), line >= 0 {
                life.state.withLock { state in
                    state.line = line
                    if state.isOver { shutdown(line, CInt(SHUT_RDWR)) }
                }
                Thread.detachNewThread {
                    goesOn.wait()
                    goesOn.signal()
                    if !life.state.withLock({ $0.isOver }) { Self.serve(line, name: name) }
                    life.state.withLock { state in
                        if state.line == line { state.line = -1 }
                        close(line)
                    }
                }
            }
            close(listener)
        }
    }

    private static func serve(_ line: CInt, name: String) {
        while true {
            var byte: UInt8 = 0
            var descriptor: CInt = -1
            guard cdescriptors_receive_descriptor(line, &byte, 1, &descriptor) > 0 else { return }
            guard byte == 1, descriptor >= 0 else { return }
            let browser = Socket(adopting: descriptor)
            Thread.detachNewThread {
                guard let head = try? browser.read(until: "\r\n\r\n") else { return }
                try? browser.send(ok("\(name): \(head.prefix { $0 != "\r\n" })"))
                _ = try? browser.readToEnd()
            }
        }
    }

    /// Says how many connections it has, once a router is on the line.
    func report(_ connections: UInt8) throws {
        let packet = [1] + [UInt8](repeating: 0, count: 7) + [connections]
        for _ in 0..<10_000 {
            let isSent = self.life.state.withLock { state in
                state.line >= 0 && send(state.line, packet, packet.count, CInt(MSG_NOSIGNAL)) == packet.count
            }
            if isSent { return }
            usleep(1_000)
        }
        throw Socket.Failure(description: "no router came")
    }

    func goOn() { self.goesOn.signal() }

    /// As a killed process: both the listening socket and the router's line end.
    func die() {
        self.life.state.withLock { state in
            guard !state.isOver else { return }
            state.isOver = true
            shutdown(self.listener, CInt(SHUT_RDWR))
            if state.line >= 0 { shutdown(state.line, CInt(SHUT_RDWR)) }
        }
    }

    deinit {
        self.die()
        self.goOn()
    }

    var endpoint: GatewayEndpoint { GatewayEndpoint(address: .unix(path: self.folder.file("gateway.sock"))) }
}

private func worker() throws -> FakeUpstream { try FakeUpstream.answering { _ in ok("worker") } }

private func asks(_ router: RunningRouter, _ path: String) throws -> String {
    let browser = try router.connect()
    try browser.send("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
    return try browser.readMessage().body
}

@Suite(.timeLimit(.minutes(1))) struct HandoffTests {
    @Test func theGatewayGetsTheSocketWithEverythingUnread() async throws {
        let (worker, gateway) = (try worker(), try FakeGateway(name: "g"))
        var settings = configuration([worker.address])
        settings.gateways = [gateway.endpoint]
        try await withRouter(settings) { router throws in
            #expect(try asks(router, "/channels/x") == "g: GET /channels/x HTTP/1.1")
            #expect(try asks(router, "/other") == "worker")
        }
    }

    @Test func aRequestThatComesByteByByteIsHandedOverWhenItsPathIsKnown() async throws {
        let (worker, gateway) = (try worker(), try FakeGateway(name: "g"))
        var settings = configuration([worker.address])
        settings.gateways = [gateway.endpoint]
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            for byte in "GET /channels/slow HTTP/1.1\r\n\r\n".utf8 { try browser.send([byte]) }
            #expect(try browser.readMessage().body == "g: GET /channels/slow HTTP/1.1")
        }
    }

    @Test func handedOverSocketsOutliveTheRouter() async throws {
        let (worker, gateway) = (try worker(), try FakeGateway(name: "g"))
        var settings = configuration([worker.address])
        settings.gateways = [gateway.endpoint]
        let kept = Mailbox<Socket>()
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            try browser.send("GET /channels/")
            kept.put(browser)
            // One more, so that the first has been handed over for certain.
            #expect(try asks(router, "/channels/next").hasPrefix("g: "))
        }
        let browser = try kept.take()
        try browser.send("later HTTP/1.1\r\n\r\n")
        #expect(try browser.readMessage().body == "g: GET /channels/later HTTP/1.1")
    }

    @Test func gatewaysTakeTurns() async throws {
        let worker = try worker()
        let gateways = [try FakeGateway(name: "a"), try FakeGateway(name: "b")]
        var settings = configuration([worker.address])
        settings.gateways = gateways.map(\.endpoint)
        try await withRouter(settings) { router throws in
            let names = try (0..<6).map { _ in try asks(router, "/channels/").prefix(1) }
            #expect(names.joined() == "ababab")
        }
    }

    @Test func theGatewayWithTheFewestConnectionsIsChosen() async throws {
        let worker = try worker()
        let gateways = [try FakeGateway(name: "a"), try FakeGateway(name: "b")]
        var settings = configuration([worker.address])
        settings.gateways = gateways.map(\.endpoint)
        try await withRouter(settings) { router throws in
            try gateways[0].report(5)
            try gateways[1].report(2)
            #expect(try (0..<3).map { _ in try asks(router, "/channels/").prefix(1) }.joined() == "bbb")
            // Both have five now.
            #expect(Set(try (0..<2).map { _ in try asks(router, "/channels/").prefix(1) }) == ["a", "b"])
        }
    }

    @Test func aDeadGatewaysVisitorsGoToTheNextAndBackWhenItLives() async throws {
        let worker = try worker()
        let (first, second) = (try FakeGateway(name: "a"), try FakeGateway(name: "b"))
        var settings = configuration([worker.address])
        settings.gateways = [first.endpoint, second.endpoint]
        try await withRouter(settings) { router throws in
            #expect(try asks(router, "/channels/").hasPrefix("a"))
            #expect(try asks(router, "/channels/").hasPrefix("b"))
            first.die()
            for _ in 0..<4 { #expect(try asks(router, "/channels/").hasPrefix("b")) }
            let again = try FakeGateway(name: "c", insteadOf: first)
            // The one that has just come gets as many as the other one has; then they take turns.
            let names = try (0..<8).map { _ in try asks(router, "/channels/").prefix(1) }
            #expect(names.prefix(5).joined() == "ccccc")
            #expect(Set(names) == ["b", "c"])
            again.die()
        }
    }

    @Test func withAllGatewaysDownTheAnswerIs503() async throws {
        let (worker, gateway) = (try worker(), try FakeGateway(name: "g"))
        var settings = configuration([worker.address])
        settings.gateways = [gateway.endpoint]
        gateway.die()
        try await withRouter(settings) { router throws in
            let answer = try router.get("/channels/x")
            #expect(answer.status == 503)
            #expect(answer["retry-after"] != nil)
            #expect(try asks(router, "/") == "worker")
        }
    }

    @Test func insideOneProcessAClosureTakesTheSocket() async throws {
        let worker = try worker()
        var settings = configuration([worker.address])
        let handed = Mailbox<CInt>()
        let refuses = GatewayHandoff.closure { _ in false }
        let takesAll = GatewayHandoff.closure { descriptor in
            handed.put(descriptor)
            return true
        }
        settings.gateways = [
            GatewayEndpoint(handoff: refuses, address: nil), GatewayEndpoint(handoff: takesAll, address: nil),
        ]
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            try browser.send("GET /channels/x HTTP/1.1\r\n\r\n")
            let gateway = Socket(adopting: try handed.take())
            #expect(try gateway.read(until: "\r\n\r\n") == "GET /channels/x HTTP/1.1\r\n\r\n")
            try gateway.send(ok("closure"))
            #expect(try browser.readMessage().body == "closure")
        }
    }

    /// With one gateway that stands still, and more browsers than its queue holds. None of them keeps the doorman from its
    /// work.
    private func withCrowd(
        _ change: (inout RouterConfiguration) -> Void,
        _ body: @escaping @Sendable (FakeGateway, [Socket]) throws -> Void
    ) async throws {
        let (worker, gateway) = (try worker(), try FakeGateway(name: "g", stands: true))
        var settings = configuration([worker.address])
        settings.gateways = [gateway.endpoint]
        settings.handoffTime = .hours(1)
        change(&settings)
        try await withRouter(settings) { router throws in
            let browsers = try (0..<600).map { number in
                let browser = try router.connect()
                try browser.send("GET /channels/\(number) HTTP/1.1\r\nHost: a\r\n\r\n")
                return browser
            }
            #expect(try asks(router, "/") == "worker")
            try body(gateway, browsers)
        }
    }

    @Test func whoFindsNoRoomWaitsUntilThereIsSome() async throws {
        try await self.withCrowd { _ in
        } _: { gateway, browsers throws in
            gateway.goOn()
            for (number, browser) in browsers.enumerated() {
                #expect(try browser.readMessage().body == "g: GET /channels/\(number) HTTP/1.1")
            }
        }
    }

    @Test func whoHasWaitedForTooLongIsAnswered503() async throws {
        try await self.withCrowd {
            $0.handoffTime = .milliseconds(10)
        } _: { gateway, browsers throws in
            #expect(try browsers.last?.readMessage().status == 503)
            // Those who came first are in the gateway's queue.
            gateway.goOn()
            #expect(try browsers.first?.readMessage().body == "g: GET /channels/0 HTTP/1.1")
        }
    }

    @Test func moreThanMayWaitAreAnswered503AtOnce() async throws {
        try await self.withCrowd {
            $0.undecidedLimit = 5
        } _: { _, browsers throws in
            #expect(try browsers.last?.readMessage().status == 503)
        }
    }

    @Test func nobodyWaitsForAGatewayThatIsGone() async throws {
        try await self.withCrowd { _ in
        } _: { gateway, browsers throws in
            gateway.die()
            #expect(try browsers.last?.readMessage().status == 503)
        }
    }
}
