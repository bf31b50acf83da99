import NIOCore
import Testing

@testable import Gateway

/// Text must be UTF-8, and is judged as it arrives (RFC 6455 sections 5.6 and 8.1, RFC 3629).
@Suite(.timeLimit(.minutes(1))) struct TextConformanceTests {
    private static let text: UInt8 = 1

    /// The first and the last character of every length and on both sides of the surrogates; non-characters, which are
    /// valid; several lengths in one text.
    @Test(arguments: [
        "", "\0", "\u{7F}", "\u{80}", "\u{7FF}", "\u{800}", "\u{D7FF}", "\u{E000}", "\u{FFFD}", "\u{FFFE}", "\u{FFFF}",
        "\u{10000}", "\u{1FFFE}", "\u{10FFFF}", "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε 𝄞 żółw 🐢",
    ])
    func validTextComesBack(_ said: String) async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            try await browser.send(clientFrame(Self.text, Array(said.utf8)))
            #expect(try await browser.next() == .text(ByteBuffer(string: said)))
            // Each byte a fragment of its own: every character is cut.
            var bytes = clientFrame(Self.text, [], final: false)
            for byte in said.utf8 { bytes += clientFrame(0, [byte], final: false) }
            try await browser.send(bytes + clientFrame(0, []))
            #expect(try await browser.next() == .text(ByteBuffer(string: said)))
        }
    }

    /// Sequences that no text has, each up to the byte that gives it away.
    static let invalid: [(String, [UInt8])] = [
        ("a continuation byte alone", [0x80]),
        ("the last continuation byte alone", [0xBF]),
        ("an overlong slash of two bytes", [0xC0]),
        ("an overlong character of two bytes", [0xC1]),
        ("an overlong character of three bytes", [0xE0, 0x9F]),
        ("an overlong character of four bytes", [0xF0, 0x8F]),
        ("a surrogate", [0xED, 0xA0]),
        ("the last surrogate", [0xED, 0xBF]),
        ("a character above U+10FFFF", [0xF4, 0x90]),
        ("the head of a character far above", [0xF5]),
        ("the head of five bytes", [0xF8]),
        ("the head of six bytes", [0xFC]),
        ("FE", [0xFE]),
        ("FF", [0xFF]),
        ("a head behind a head", [0xC3, 0xC3]),
        ("a character of three bytes cut by a letter", [0xE2, 0x82, 0x41]),
        ("a character of four bytes cut by a letter", [0xF0, 0x9F, 0x90, 0x41]),
        ("a character of four bytes cut by a head", [0xF0, 0x9F, 0xC3]),
    ]

    /// The rest of the frame is never sent: who answers has not waited for it.
    @Test(arguments: invalid) func invalidTextIsRefusedAtTheByteThatGivesItAway(
        _ name: String, _ bytes: [UInt8]
    ) async throws {
        try await withGateway { gateway in
            for prefix in ["", "κόσμε", "nine ASCII letters"] {
                let browser = try await gateway.open()
                let said = Array(prefix.utf8) + bytes
                let frame = clientFrame(Self.text, said + [UInt8](repeating: 0x41, count: 100))
                try await browser.send(Array(frame.prefix(frame.count - 100)))
                try await Self.expectRefusal(browser, name)
            }
            #expect(gateway.metric("carillon_gateway_protocol_errors_total") == 3)
        }
    }

    @Test(arguments: invalid) func invalidTextIsRefusedAcrossFragmentsBeforeTheMessageEnds(
        _ name: String, _ bytes: [UInt8]
    ) async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            var frames = clientFrame(Self.text, Array("κόσμε".utf8), final: false)
            for byte in bytes { frames += clientFrame(9, []) + clientFrame(0, [byte], final: false) }
            try await browser.send(frames)
            for _ in bytes { #expect(try await browser.next() == .pong(ByteBuffer())) }
            try await Self.expectRefusal(browser, name)
        }
    }

    @Test(arguments: [[0xC3], [0xE2], [0xE2, 0x82], [0xF0], [0xF0, 0x9F], [0xF0, 0x9F, 0x90]] as [[UInt8]])
    func aTextThatEndsInsideACharacterIsRefused(_ bytes: [UInt8]) async throws {
        try await withGateway { gateway in
            for frames in [
                clientFrame(Self.text, bytes), clientFrame(Self.text, bytes, final: false) + clientFrame(0, []),
            ] {
                let browser = try await gateway.open()
                try await browser.send(frames)
                #expect(try await browser.next() == .close(.invalidPayload, reason: "text ends inside a character"))
            }
        }
    }

    @Test func binaryMessagesMayHoldAnything() async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            let all = (0...255).map { UInt8($0) }
            try await browser.send(clientFrame(2, all, final: false) + clientFrame(0, all))
            #expect(try await browser.next() == .binary(ByteBuffer(bytes: all + all)))
        }
    }

    private static func expectRefusal(_ browser: LiveBrowser, _ name: String) async throws {
        #expect(try await browser.next() == .close(.invalidPayload, reason: "text is not UTF-8"), "\(name)")
        #expect(try await browser.next() == nil, "\(name)")
    }
}
