import NIOCore
import Testing

@testable import Gateway

private let text: UInt8 = 1
private let binary: UInt8 = 2
private let ping: UInt8 = 9

/// What a gateway makes of frames, on a real socket and a route that sends everything back (RFC 6455 section 5).
@Suite(.timeLimit(.minutes(1))) struct FramingConformanceTests {
    /// The lengths at which the head of a frame changes its form.
    static let lengths = [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537]

    @Test(arguments: [text, binary]) func aMessageComesBackAsTheKindItWas(_ opcode: UInt8) async throws {
        try await withGateway {
            $0.session.messageLimit = 1 << 20
        } _: { gateway in
            let browser = try await gateway.open()
            for length in Self.lengths {
                let payload = [UInt8](repeating: 0x2A, count: length)
                try await browser.send(clientFrame(opcode, payload))
                let bytes = ByteBuffer(bytes: payload)
                #expect(try await browser.next() == (opcode == text ? .text(bytes) : .binary(bytes)), "\(length) bytes")
            }
        }
    }

    @Test func theHeadOfAnAnswerIsInItsShortestFormAndNotMasked() async throws {
        try await withGateway {
            $0.session.messageLimit = 1 << 20
        } _: { gateway in
            let browser = try await gateway.open()
            for length in Self.lengths {
                try await browser.send(clientFrame(binary, [UInt8](repeating: 7, count: length)))
                let frame = clientFrame(binary, [UInt8](repeating: 7, count: length), key: nil)
                #expect(await browser.raw(frame.count) == frame, "\(length) bytes")
            }
        }
    }

    @Test(arguments: [1, 2, 3, 7]) func howeverTheBytesAreCutTheSameComesBack(_ step: Int) async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            let said = Array("żółw 🐢 ".utf8) + [UInt8](repeating: 0x41, count: 150)
            var rest = (clientFrame(text, said) + clientFrame(ping, [1]) + clientFrame(binary, said))[...]
            while !rest.isEmpty {
                try await browser.send(Array(rest.prefix(step)))
                rest = rest.dropFirst(step)
            }
            #expect(try await browser.next() == .text(ByteBuffer(bytes: said)))
            #expect(try await browser.next() == .pong(ByteBuffer(bytes: [1])))
            #expect(try await browser.next() == .binary(ByteBuffer(bytes: said)))
        }
    }

    @Test func messagesInOnePacketComeBackInOrder() async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            try await browser.send((0..<100).flatMap { clientFrame(text, Array("\($0)".utf8)) })
            for number in 0..<100 { #expect(try await browser.next() == .text(ByteBuffer(string: "\(number)"))) }
        }
    }

    @Test func whatABrowserSaysBehindItsHandshakeIsNotLost() async throws {
        try await withGateway { gateway in
            let browser = try await gateway.connect()
            let early = Array(LiveBrowser.handshake("/channels/echo/").utf8) + clientFrame(text, Array("early".utf8))
            try await browser.send(early)
            _ = try await browser.head()
            #expect(try await browser.next() == .text(ByteBuffer(string: "early")))
        }
    }

    // MARK: Pings and pongs

    @Test func aPingOfUpTo125BytesIsAnsweredWithItsPayload() async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            for payload in [[], Array("hello".utf8), [0x00, 0xFF, 0xFE, 0x00], [UInt8](repeating: 0xFE, count: 125)] {
                try await browser.send(clientFrame(ping, payload))
                #expect(try await browser.next() == .pong(ByteBuffer(bytes: payload)))
            }
        }
    }

    @Test func aPongNobodyAskedForIsIgnored() async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            try await browser.send(clientFrame(10, []) + clientFrame(10, Array("unasked".utf8)))
            try await browser.send(clientFrame(ping, [7]))
            #expect(try await browser.next() == .pong(ByteBuffer(bytes: [7])))
        }
    }

    @Test func aPingBetweenFragmentsIsAnsweredBeforeTheMessageIsComplete() async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            try await browser.send(clientFrame(text, Array("frag".utf8), final: false) + clientFrame(ping, [1, 2]))
            #expect(try await browser.next() == .pong(ByteBuffer(bytes: [1, 2])))
            try await browser.send(clientFrame(0, [], final: false) + clientFrame(10, [3]))
            try await browser.send(clientFrame(0, Array("ment".utf8), final: false) + clientFrame(ping, []))
            #expect(try await browser.next() == .pong(ByteBuffer()))
            try await browser.send(clientFrame(0, []))
            #expect(try await browser.next() == .text(ByteBuffer(string: "fragment")))
        }
    }

    @Test(arguments: [text, binary, ping, 10]) func aFloodOfAnyKindIsClosedWith1008(_ opcode: UInt8) async throws {
        try await withGateway {
            $0.session.messageRate = RateLimit(perSecond: 1, burst: 10)
        } _: { gateway in
            let browser = try await gateway.open()
            try await browser.send((0..<100).flatMap { _ in clientFrame(opcode, []) })
            var last: WebSocketParser.Event?
            while let event = try await browser.next() { last = event }
            #expect(last == .close(.policyViolation, reason: "too many messages"))
            #expect(gateway.metric("carillon_gateway_rate_closes_total") == 1)
        }
    }

    // MARK: Fragments

    @Test(arguments: [text, binary]) func fragmentsAreOneMessage(_ opcode: UInt8) async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            let letters = Array("abcdefghij".utf8)
            var bytes = clientFrame(opcode, [], final: false)
            for letter in letters { bytes += clientFrame(0, [letter], final: false) }
            try await browser.send(bytes + clientFrame(0, []))
            let whole = ByteBuffer(bytes: letters)
            #expect(try await browser.next() == (opcode == text ? .text(whole) : .binary(whole)))
        }
    }

    // MARK: What is no frame

    static let broken: [(String, [UInt8])] =
        (1...7).map { ("reserved bits \($0) on text", clientFrame(text, [65], reserved: UInt8($0) << 4)) }
        + (1...7).map { ("reserved bits \($0) on a ping", clientFrame(ping, [], reserved: UInt8($0) << 4)) }
        + (1...7).map { ("reserved bits \($0) on a close", clientFrame(8, [3, 232], reserved: UInt8($0) << 4)) }
        + [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF].map { ("opcode \($0)", clientFrame($0, [])) }
        + [3, 0xB].map { ("opcode \($0) with a payload", clientFrame($0, [65])) }
        + [
            ("text that is not masked", clientFrame(text, [65], key: nil)),
            ("a ping that is not masked", clientFrame(ping, [], key: nil)),
            ("a ping of 126 bytes", clientFrame(ping, [UInt8](repeating: 0, count: 126))),
            ("a pong of 126 bytes", clientFrame(10, [UInt8](repeating: 0, count: 126))),
            ("a ping in fragments", clientFrame(ping, [1], final: false) + clientFrame(0, [2])),
            ("a pong in fragments", clientFrame(10, [1], final: false)),
            ("a continuation of nothing", clientFrame(0, [65])),
            ("an unfinished continuation of nothing", clientFrame(0, [65], final: false)),
            ("text inside text", clientFrame(text, [65], final: false) + clientFrame(text, [66])),
            ("binary inside text", clientFrame(text, [65], final: false) + clientFrame(binary, [66], final: false)),
            (
                "a reserved opcode inside text",
                clientFrame(text, [65], final: false) + clientFrame(ping, []) + clientFrame(3, [])
            ),
            ("a length of 5 in two bytes", [0x81, 0xFE, 0x00, 0x05, 0, 0, 0, 0, 65, 65, 65, 65, 65]),
            ("a length of 126 in eight bytes", [0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 126]),
            ("a length above 2^63", [0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ]

    @Test(arguments: broken) func whoBreaksTheProtocolIsClosedWith1002(_ name: String, _ bytes: [UInt8]) async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            let before = clientFrame(text, Array("before".utf8))
            try await browser.send(before + bytes + clientFrame(text, Array("after".utf8)))
            #expect(try await browser.next() == .text(ByteBuffer(string: "before")))
            var event = try await browser.next()
            if case .pong = event { event = try await browser.next() }
            guard case .close(.protocolError, let reason) = event else {
                Issue.record("\(name): \(String(describing: event))")
                return
            }
            #expect(!reason.isEmpty)
            #expect(try await browser.next() == nil, "nothing is said behind a close")
            #expect(gateway.metric("carillon_gateway_protocol_errors_total") == 1)
        }
    }

    @Test func aFaultIsToldBeforeThePayloadThatItAnnounces() async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            try await browser.send([0x83, 0xFE])
            #expect(try await browser.next() == .close(.protocolError, reason: "reserved opcode"))
        }
    }

    // MARK: Sizes

    @Test(arguments: [false, true]) func aMessageAsLongAsTheLimitIsTaken(_ inFragments: Bool) async throws {
        try await withGateway {
            $0.session.messageLimit = 100_000
        } _: { gateway in
            let browser = try await gateway.open()
            let half = [UInt8](repeating: 0x61, count: 50_000)
            try await browser.send(
                inFragments
                    ? clientFrame(text, half, final: false) + clientFrame(0, half) : clientFrame(text, half + half))
            #expect(try await browser.next() == .text(ByteBuffer(bytes: half + half)))
        }
    }

    @Test func aMessageOverTheLimitIsClosedWith1009AsSoonAsItIsKnown() async throws {
        let part = [UInt8](repeating: 0x61, count: 600)
        let heads: [[UInt8]] = [
            [0x82, 0xFE, 0x03, 0xE9],
            [0x82, 0xFF, 0, 0, 0, 0x01, 0, 0, 0, 0],
            [0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
            clientFrame(binary, part, final: false) + [0x80, 0xFE, 0x01, 0x91],
            clientFrame(binary, part, final: false) + [0x00, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        ]
        try await withGateway {
            $0.session.messageLimit = 1_000
        } _: { gateway in
            for head in heads {
                let browser = try await gateway.open()
                try await browser.send(head)
                #expect(try await browser.next() == .close(.messageTooBig, reason: "message over 1000 bytes"))
                #expect(try await browser.next() == nil)
            }
        }
    }

    @Test(arguments: [text, binary]) func sixteenMebibytesComeBack(_ opcode: UInt8) async throws {
        try await withGateway {
            $0.session.messageLimit = 16 << 20
        } _: { gateway in
            let browser = try await gateway.open()
            let payload = ByteBuffer(repeating: 0x2A, count: 16 << 20)
            // With a mask of zeros the payload is its own mask's result.
            try await browser.send([0x80 | opcode, 0xFF, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
            try await browser.send(payload)
            #expect(try await browser.next() == (opcode == text ? .text(payload) : .binary(payload)))
        }
    }
}
