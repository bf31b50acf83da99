import Foundation
import NIOCore
import Testing

@testable import Router
@testable import Upstream

private let handshake = "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
private let switching =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"

@Suite(.timeLimit(.minutes(1))) struct TunnelTests {
    /// Opens a WebSocket for each request and sends back what comes, after "hello".
    private static func echo() throws -> FakeUpstream {
        try FakeUpstream { socket, _ in
            let head = Message(head: try socket.read(until: "\r\n\r\n"))
            #expect(head["upgrade"] == "websocket")
            #expect(head["sec-websocket-key"] == "k")
            #expect(head["x-forwarded-for"] == "127.0.0.1")
            try socket.send(switching + "hello")
            while true { try socket.send(try socket.read(1)) }
        }
    }

    @Test func aWebSocketOfTheApplicationIsTunnelled() async throws {
        try await withRouter(try Self.echo()) { router throws in
            let browser = try router.connect()
            // The first bytes of the tunnel may come with the handshake; they wait for the switch.
            try browser.send("GET /live HTTP/1.1\r\n" + handshake + "early")
            let head = Message(head: try browser.read(until: "\r\n\r\n"))
            #expect(head.status == 101)
            #expect(head["sec-websocket-accept"] == "x")
            #expect(head["connection"]?.lowercased() == "upgrade")
            #expect(try browser.readText(10) == "helloearly")
            try browser.send("\0binary\u{ff}")
            #expect(try browser.readText(9) == "\0binary\u{ff}")
        }
    }

    @Test func aGatewayWithoutHandoffIsTunnelledTo() async throws {
        let worker = try FakeUpstream.answering { _ in ok("worker") }
        let gateway = try Self.echo()
        var settings = configuration([worker.address])
        settings.gateways = [GatewayEndpoint(address: gateway.address)]
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            try browser.send("GET /channels/x HTTP/1.1\r\n" + handshake)
            #expect(try browser.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 101 "))
            #expect(try browser.readText(5) == "hello")
        }
    }

    @Test func aLaterRequestOfAKeptConnectionFindsTheGateway() async throws {
        let worker = try FakeUpstream.answering { _ in ok("worker") }
        let gateway = try Self.echo()
        var settings = configuration([worker.address])
        settings.gateways = [GatewayEndpoint(address: gateway.address)]
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage().body == "worker")
            try browser.send("GET /channels/x HTTP/1.1\r\n" + handshake + "abc")
            #expect(try browser.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 101 "))
            #expect(try browser.readText(8) == "helloabc")
        }
    }

    @Test func anEventStreamOfTheGatewayComesPieceByPiece() async throws {
        let next = Mailbox<Int>()
        let gateway = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            try socket.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            for number in 0..<3 {
                try socket.send("9\r\ndata: \(number)\n\n\r\n")
                _ = try next.take()
            }
        }
        var settings = configuration([])
        settings.gateways = [GatewayEndpoint(address: gateway.address)]
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            try browser.send("GET /channels/x HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
            _ = try browser.read(until: "\r\n\r\n")
            for number in 0..<3 {
                #expect(try browser.readText(14) == "9\r\ndata: \(number)\n\n\r\n")
                next.put(0)
            }
        }
    }

    @Test func aRefusedHandshakeIsAnOrdinaryAnswer() async throws {
        let upstream = try FakeUpstream.answering { request in
            request["upgrade"] == nil
                ? ok("plain")
                : "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 2\r\n\r\nno"
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            // What follows is the next request, not a tunnel: nothing can be smuggled past the proxy.
            try browser.send("GET /live HTTP/1.1\r\n" + handshake + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage().status == 426)
            #expect(try browser.readMessage().body == "plain")
        }
    }

    @Test func theEndsOfATunnelArePassedOnOneByOne() async throws {
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.read(until: "\r\n\r\n")
            try socket.send(switching)
            // All that the browser has to say, and only then an answer.
            let all = try socket.readToEnd()
            try socket.send("got \(all)")
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send("GET /live HTTP/1.1\r\n" + handshake)
            _ = try browser.read(until: "\r\n\r\n")
            try browser.send("everything")
            browser.endOutput()
            #expect(try browser.readToEnd() == "got everything")
        }
    }

    @Test func aTunnelEndsWithItsUpstream() async throws {
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.read(until: "\r\n\r\n")
            try socket.send(switching + "bye")
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send("GET /live HTTP/1.1\r\n" + handshake)
            _ = try browser.read(until: "\r\n\r\n")
            #expect(try browser.readToEnd() == "bye")
        }
    }

    @Test func aSilentTunnelIsClosed() async throws {
        var settings = configuration([try Self.echo().address])
        settings.tunnelIdleTime = .milliseconds(400)
        let upstream = try Self.echo()
        settings.workers.addresses = [upstream.address]
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            try browser.send("GET /live HTTP/1.1\r\n" + handshake)
            _ = try browser.read(until: "\r\n\r\n")
            #expect(try browser.readText(5) == "hello")
            #expect(browser.ends())
        }
    }
}
