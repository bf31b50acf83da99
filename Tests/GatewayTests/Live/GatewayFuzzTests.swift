import HTTP1
import NIOCore
import TestSupport
import Testing

@testable import Gateway

/// Mutated handshakes and frames, thrown at a gateway over real sockets while a well-behaved browser listens: whatever
/// comes is answered as the protocol says, counted, and costs the others nothing.
///
/// What the protocol says is known from the parsers, which have tests of their own, so each answer is known before.
@Suite(.timeLimit(.minutes(1))) struct GatewayFuzzTests {
    private static let lanes = 4
    private static let rounds = 60

    @Test func mutatedHandshakesAreAnsweredAndCountedAndTheOthersHearEverything() async throws {
        try await withGateway { gateway in
            let tally = try await Self.inLanes(beside: gateway) { seed in
                var handshakes = HandshakeFuzzer(seed: seed)
                var tally = Tally()
                for _ in 0..<Self.rounds { tally += try await handshakes.next(at: gateway) }
                return tally
            }
            #expect(tally.refused > Self.rounds && tally.opened > 0, "the mutations are neither all good nor all bad")
            let bad = gateway.metric("carillon_gateway_bad_requests_total")
            #expect(bad + gateway.metric("carillon_gateway_refusals_total") == tally.refused)
            // The well-behaved ones are two.
            #expect(gateway.metric("carillon_gateway_handshakes_total") == tally.opened + 2)
        }
    }

    @Test func mutatedFramesAreAnsweredAndCountedAndTheOthersHearEverything() async throws {
        try await withGateway {
            $0.compression = true
            $0.session.messageLimit = 4_096
        } _: { gateway in
            let tally = try await Self.inLanes(beside: gateway) { seed in
                var frames = FrameFuzzer(seed: seed)
                var tally = Tally()
                for _ in 0..<Self.rounds { tally += try await frames.next(at: gateway) }
                return tally
            }
            #expect(tally.refused > Self.rounds && tally.opened == Self.lanes * Self.rounds)
            #expect(gateway.metric("carillon_gateway_protocol_errors_total") == tally.refused)
        }
    }

    /// Runs `fuzz` in lanes, all at once and each with its own seed, while a browser hears one message after the other.
    private static func inLanes(
        beside gateway: LiveGateway, _ fuzz: @escaping @Sendable (UInt64) async throws -> Tally
    ) async throws -> Tally {
        let total = try await withThrowingTaskGroup(of: Tally.self) { group in
            for lane in 0..<Self.lanes { group.addTask { try await fuzz(UInt64(lane)) } }
            group.addTask {
                try await Self.listen(at: gateway)
                return Tally()
            }
            return try await group.reduce(into: Tally()) { $0 += $1 }
        }
        // All are forgotten, and there is room for the next.
        while gateway.server.context.census.connections > 0 { await Task.yield() }
        let browser = try await gateway.open()
        try await browser.send(clientFrame(1, Array("still here".utf8)))
        #expect(try await browser.next() == .text(ByteBuffer(string: "still here")))
        return total
    }

    private static func listen(at gateway: LiveGateway) async throws {
        let browser = try await gateway.open("/channels/groups/news")
        for number in 0..<200 {
            try await gateway.publish("\(number)", to: "news")
            #expect(try await browser.next() == .text(ByteBuffer(string: "\(number)")))
        }
    }
}

/// What came of mutated connections.
private struct Tally: Sendable {
    /// Handshakes that were let in, mutated or not.
    var opened = 0
    /// Answers that say that something was wrong.
    var refused = 0

    static func += (left: inout Tally, right: Tally) {
        left.opened += right.opened
        left.refused += right.refused
    }
}

// MARK: - Handshakes

private struct HandshakeFuzzer {
    private static let corpus = [
        LiveBrowser.handshake("/channels/groups/news"),
        LiveBrowser.handshake("/channels/pairs/a%20b/c?x=1", fields: "Origin: http://a\r\nCookie: sessionid=1; b\r\n"),
        LiveBrowser.handshake("/channels/echo/", fields: "Sec-WebSocket-Protocol: json, carillon.token.a%3Ab\r\n"),
        LiveBrowser.handshake("/channels/echo/", fields: "Sec-WebSocket-Extensions: permessage-deflate; a=\"b\"\r\n"),
        LiveBrowser.handshake("/channels/echo/", fields: "Origin: https://evil.test\r\nX-Forwarded-For: 192.0.2.1\r\n"),
        LiveBrowser.handshake("/channels/echo/", fields: "Content-Length: 4\r\n") + "body",
        "GET /channels/groups/news HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n",
    ]

    private var mutator: Mutator

    init(seed: UInt64) {
        self.mutator = Mutator(
            corpus: Self.corpus.map { Array($0.utf8) }, interesting: Array("\r\n\r\n\0 \t:;,/%=\"1".utf8), seed: seed)
    }

    mutating func next(at gateway: LiveGateway) async throws -> Tally {
        let bytes = self.mutator.next()
        let browser = try await gateway.connect()
        try await browser.send(bytes)
        guard let expected = Self.isAnswered(bytes) else {
            // Not all of a head: what ends here gets no answer.
            try await browser.endOutput()
            #expect(await browser.raw(.max) == [], "\(String(decoding: bytes, as: UTF8.self))")
            return Tally()
        }
        let status = try await browser.head().split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        switch expected {
        case .status(let wanted): #expect(status == wanted, "\(String(decoding: bytes, as: UTF8.self))")
        case .any: #expect([101, 200, 400, 403, 404, 405, 426].contains(status))
        }
        try await browser.endOutput()
        // The connection ends, whatever it was, and the gateway is the one who waits for nobody.
        _ = await browser.raw(.max)
        return status == 101 || status == 200 ? Tally(opened: 1) : Tally(refused: 1)
    }

    private enum Answer { case status(Int), any }

    private static func isAnswered(_ bytes: [UInt8]) -> Answer? {
        var parser = RequestHeadParser(limits: HeadLimits())
        var input = ByteBuffer(bytes: bytes)
        do {
            return try parser.parse(&input) == nil ? nil : .any
        } catch {
            return .status(error.status)
        }
    }
}

// MARK: - Frames

private struct FrameFuzzer {
    private static let corpus: [[UInt8]] = [
        clientFrame(1, Array("żółw 🐢".utf8)) + clientFrame(9, [1, 2, 3]),
        clientFrame(1, Array("fra".utf8), final: false) + clientFrame(9, []) + clientFrame(0, Array("gment".utf8)),
        clientFrame(2, [UInt8](repeating: 7, count: 300)) + clientFrame(10, []),
        clientFrame(1, [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00], reserved: 0x40) + clientFrame(1, [65]),
        clientFrame(9, [1]) + clientFrame(8, [0x03, 0xE8] + Array("bye".utf8)),
    ]

    private var mutator: Mutator
    private var generator: SeededGenerator

    init(seed: UInt64) {
        self.mutator = Mutator(
            corpus: Self.corpus, interesting: [0, 1, 2, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A, 0xC1, 0xFE, 0xFF, 0x7F],
            seed: seed)
        self.generator = SeededGenerator(seed: seed)
    }

    mutating func next(at gateway: LiveGateway) async throws -> Tally {
        let (bytes, expected, isRefused) = Self.answers(to: self.mutator.next())
        let browser = try await gateway.open(fields: "Sec-WebSocket-Extensions: permessage-deflate\r\n")
        let cut = Int.random(in: 0...bytes.count, using: &self.generator)
        try await browser.send(Array(bytes[..<cut]))
        try await browser.send(Array(bytes[cut...]))
        for event in expected { #expect(try await browser.next() == event, "\(bytes)") }
        try await browser.endOutput()
        #expect(try await browser.next() == nil, "\(bytes)")
        return Tally(opened: 1, refused: isRefused ? 1 : 0)
    }

    /// What the gateway must say to frames. Nobody says anything behind a close of their own, so that is cut off.
    private static func answers(
        to bytes: [UInt8]
    ) -> (bytes: [UInt8], expected: [WebSocketParser.Event], isRefused: Bool) {
        var parser = WebSocketParser(messageLimit: 4_096, inflater: Inflater())
        var input = ByteBuffer(bytes: bytes)
        var expected: [WebSocketParser.Event] = []
        do {
            while let event = try parser.next(&input) {
                switch event {
                case .text, .binary: expected.append(event)
                case .ping(let payload): expected.append(.pong(payload))
                case .pong: break
                case .close(let code, _):
                    expected.append(.close(code, reason: ""))
                    return (Array(bytes.dropLast(input.readableBytes)), expected, false)
                }
            }
            return (bytes, expected, false)
        } catch {
            return (bytes, expected + [.close(error.code, reason: error.reason)], true)
        }
    }
}
