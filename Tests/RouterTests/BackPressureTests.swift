import Foundation
import NIOCore
import Testing

@testable import Router
@testable import Upstream

/// Whoever stops reading stops the other side; nothing piles up in between.
@Suite(.timeLimit(.minutes(1)), .serialized) struct BackPressureTests {
    private static let endless = 400_000_000
    /// What kernels' buffers on both ways may hold, far below what would be sent without a bound.
    private static let bound = 40_000_000

    /// Resident memory of this process, in bytes.
    private static func resident() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4_096
    }

    @Test(arguments: ["Content-Length: \(Self.endless)\r\n", "Connection: close\r\n"])
    func aBrowserThatStopsReadingStopsTheUpstream(_ framing: String) async throws {
        let sent = Mailbox<Int>()
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            try socket.send("HTTP/1.1 200 OK\r\n\(framing)\r\n")
            sent.put(socket.sendAsMuchAsFits([UInt8](repeating: 0x61, count: 65_536), atMost: Self.endless))
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            let before = Self.resident()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            let count = try sent.take()
            #expect(count < Self.bound)
            #expect(Self.resident() - before < Self.bound)
            // And it goes on from where it stood.
            _ = try browser.read(until: "\r\n\r\n")
            #expect(try browser.read(1_000_000).count == 1_000_000)
        }
    }

    @Test func anUpstreamThatStopsReadingStopsTheBrowser() async throws {
        let held = Mailbox<Int>()
        let goOn = Mailbox<Int>()
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.read(until: "\r\n\r\n")
            held.put(0)
            _ = try goOn.take()
            var left = 20_000_000
            while left > 0 {
                _ = try socket.read(min(left, 1_000_000))
                left -= 1_000_000
            }
            try socket.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            let before = Self.resident()
            try browser.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000000\r\n\r\n")
            _ = try held.take()
            let count = browser.sendAsMuchAsFits([UInt8](repeating: 0x61, count: 65_536), atMost: Self.endless)
            #expect(count < Self.bound)
            #expect(Self.resident() - before < Self.bound)
            goOn.put(0)
            // Exactly what the upstream waits for still, however long it takes.
            try browser.send([UInt8](repeating: 0x61, count: max(0, 20_000_000 - count)))
            #expect(try browser.readMessage().status == 200)
        }
    }

    @Test func bothWaysOfATunnelAreHeldBack() async throws {
        let sent = Mailbox<Int>()
        let goOn = Mailbox<Int>()
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.read(until: "\r\n\r\n")
            try socket.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            sent.put(socket.sendAsMuchAsFits([UInt8](repeating: 0x61, count: 65_536), atMost: Self.endless))
            _ = try goOn.take()
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
            )
            _ = try browser.read(until: "\r\n\r\n")
            #expect(try sent.take() < Self.bound)
            let count = browser.sendAsMuchAsFits([UInt8](repeating: 0x61, count: 65_536), atMost: Self.endless)
            #expect(count < Self.bound)
            goOn.put(0)
        }
    }

    @Test func aBrowserThatNeverReadsIsCutOff() async throws {
        let ended = Mailbox<Int>()
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            try socket.send("HTTP/1.1 200 OK\r\nContent-Length: \(Self.endless)\r\n\r\n")
            let piece = [UInt8](repeating: 0x61, count: 65_536)
            do { while true { try socket.send(piece) } } catch { ended.put(0) }
        }
        var settings = configuration([upstream.address])
        settings.sendIdleTime = .milliseconds(100)
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try ended.take()
            withExtendedLifetime(browser) {}
        }
    }
}
