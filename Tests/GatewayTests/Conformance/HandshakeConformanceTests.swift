import NIOCore
import Testing

@testable import Gateway

/// The opening handshake (RFC 6455 sections 4.1 and 4.2).
@Suite(.timeLimit(.minutes(1))) struct HandshakeConformanceTests {
    private static let good = [
        "GET /channels/echo/ HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]

    /// A handshake with one of its lines replaced, or gone.
    private static func handshake(_ line: String, _ replacement: String?) -> [UInt8] {
        let lines = Self.good.compactMap { $0 == line ? replacement : $0 }
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }

    private static let first = Self.good[0]
    private static let upgrade = Self.good[2]
    private static let connection = Self.good[3]
    private static let version = Self.good[4]
    private static let key = Self.good[5]

    @Test(arguments: [
        (upgrade, "upgrade: WebSocket"), (upgrade, "Upgrade: h2c, websocket"),
        (connection, "Connection: keep-alive, Upgrade"), (connection, "Connection: keep-alive\r\nConnection: upgrade"),
        (key, "sec-websocket-key:   dGhlIHNhbXBsZSBub25jZQ==  "),
        (key, "\(key)\r\nSec-WebSocket-Extensions: x-unknown; a=1\r\nSec-WebSocket-Protocol: unknown"),
        (key, "\(key)\r\nContent-Length: 0"),
    ])
    func isAcceptedHoweverItIsWritten(_ line: String, _ replacement: String) async throws {
        try await withGateway { gateway in
            let browser = try await gateway.connect()
            try await browser.send(Self.handshake(line, replacement))
            let head = try await browser.head().split(separator: "\r\n")
            #expect(head.first == "HTTP/1.1 101 Switching Protocols")
            // Nothing is agreed on that nobody understands.
            #expect(
                head.dropFirst().sorted() == [
                    "Connection: Upgrade", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Upgrade: websocket",
                ])
        }
    }

    @Test(
        arguments: [
            (upgrade, nil, 426), (upgrade, "Upgrade: h2c", 426), (connection, nil, 400),
            (connection, "Connection: keep-alive", 400), (version, nil, 426),
            (version, "Sec-WebSocket-Version: 8", 426),
            (version, "Sec-WebSocket-Version: 13, 8", 426), (key, nil, 400), (key, "\(key)\r\n\(key)", 400),
            (key, "Sec-WebSocket-Key: ", 400), (key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ", 400),
            (key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\u{7E}", 400),
            (key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j", 400), (key, "\(key)\r\nContent-Length: 4", 400),
            (key, "\(key)\r\nTransfer-Encoding: chunked", 400), (first, "POST /channels/echo/ HTTP/1.1", 405),
            (first, "GET /channels/echo/ HTTP/1.0", 400), (first, "GET /channels/nowhere/ HTTP/1.1", 404),
            (first, "GET channels/echo/ HTTP/1.1", 400), (first, "GET /channels/echo/ HTTP/2.0", 505),
        ] as [(String, String?, Int)])
    func isRefusedWithAStatusThatTellsWhy(_ line: String, _ replacement: String?, _ status: Int) async throws {
        try await withGateway { gateway in
            let browser = try await gateway.connect()
            try await browser.send(Self.handshake(line, replacement))
            let head = try await browser.head()
            #expect(head.hasPrefix("HTTP/1.1 \(status) "))
            if status == 426 {
                #expect(head.contains("Sec-WebSocket-Version: 13\r\n") && head.contains("Upgrade: websocket\r\n"))
            }
            // The connection ends behind the answer's body.
            _ = await browser.raw(.max)
            #expect(gateway.metric("carillon_gateway_bad_requests_total") == 1)
            #expect(gateway.metric("carillon_gateway_handshakes_total") == 0)
        }
    }
}
