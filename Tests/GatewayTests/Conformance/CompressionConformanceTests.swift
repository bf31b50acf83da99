import NIOCore
import TestSupport
import Testing

@testable import Gateway

private let text: UInt8 = 1
private let binary: UInt8 = 2
/// The bit of a frame's head that says "compressed".
private let compressed: UInt8 = 0x40

/// permessage-deflate (RFC 7692): what is agreed on, and what is done then.
@Suite(.timeLimit(.minutes(1))) struct CompressionConformanceTests {
    private static let plainAnswer =
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"

    private func withCompression(_ body: (LiveGateway) async throws -> Void) async throws {
        try await withGateway({ $0.compression = true }, body)
    }

    private func offering(_ offers: String...) -> String {
        offers.map { "Sec-WebSocket-Extensions: \($0)\r\n" }.joined()
    }

    private func deflated(_ bytes: [UInt8]) throws -> [UInt8] {
        let deflater = Deflater(windowBits: 15)
        return Array(try #require(deflater.deflate(ByteBuffer(bytes: bytes))).readableBytesView)
    }

    private func answer(_ gateway: LiveGateway, _ fields: String) async throws -> String {
        let browser = try await gateway.connect()
        try await browser.send(Array(LiveBrowser.handshake("/channels/echo/", fields: fields).utf8))
        return try await browser.head()
    }

    // MARK: Offers

    @Test func anOfferIsAnsweredWithWhatTheGatewayKeeps() async throws {
        try await self.withCompression { gateway in
            for offer in [
                "permessage-deflate", "PerMessage-Deflate", "permessage-deflate; client_max_window_bits",
                "permessage-deflate; client_max_window_bits=8", "permessage-deflate;client_max_window_bits=15",
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                "x-webkit-deflate-frame, permessage-deflate", "permessage-deflate; unknown, permessage-deflate",
                "permessage-deflate; server_max_window_bits=8, permessage-deflate",
            ] {
                let answer = try await self.answer(gateway, self.offering(offer))
                #expect(answer.contains(Self.plainAnswer + "\r\n"), "\(offer)")
            }
            let two = try await self.answer(gateway, self.offering("permessage-bzip2", "permessage-deflate"))
            #expect(two.contains(Self.plainAnswer + "\r\n"))
            for bits in 9...15 {
                let offer = "permessage-deflate; server_max_window_bits=\(bits); client_max_window_bits"
                let answer = try await self.answer(gateway, self.offering(offer))
                #expect(answer.contains("\(Self.plainAnswer); server_max_window_bits=\(bits)\r\n"), "\(bits)")
            }
        }
    }

    @Test(arguments: [
        "permessage-bzip2", "permessage-deflate; unknown", "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09", "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_no_context_takeover=true", "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover", "", ";", ",,",
    ])
    func anOfferThatCannotBeKeptLeavesMessagesUncompressed(_ offer: String) async throws {
        try await self.withCompression { gateway in
            let fields = self.offering(offer)
            #expect(!(try await self.answer(gateway, fields).contains("Sec-WebSocket-Extensions")))
            let browser = try await gateway.open(fields: fields)
            try await browser.send(clientFrame(text, [65]))
            #expect(try await browser.next() == .text(ByteBuffer(string: "A")))
            try await browser.send(clientFrame(text, try self.deflated([65]), reserved: compressed))
            #expect(try await browser.next() == .close(.protocolError, reason: "reserved bit"))
        }
    }

    @Test func withoutTheSettingNothingIsAgreedOn() async throws {
        try await withGateway { gateway in
            let answer = try await self.answer(gateway, self.offering("permessage-deflate"))
            #expect(!answer.contains("Sec-WebSocket-Extensions"))
        }
    }

    // MARK: Messages

    @Test(arguments: [text, binary]) func compressedMessagesOfAnyLengthComeBack(_ opcode: UInt8) async throws {
        try await self.withCompression { gateway in
            let browser = try await gateway.open(fields: self.offering("permessage-deflate"))
            for length in [0, 1, 100, 199, 200, 1_024, 4_096, 8_192, 65_536] {
                let said = (0..<length).map { UInt8(truncatingIfNeeded: 32 + $0 * $0 % 90) }
                try await browser.send(clientFrame(opcode, try self.deflated(said), reserved: compressed))
                let whole = ByteBuffer(bytes: said)
                #expect(try await browser.next() == (opcode == text ? .text(whole) : .binary(whole)), "\(length)")
            }
        }
    }

    @Test func fragmentsOfACompressedMessageAreOneAndControlFramesBetweenThemAreNot() async throws {
        try await self.withCompression { gateway in
            let browser = try await gateway.open(fields: self.offering("permessage-deflate"))
            let said = Array(String(repeating: "żółw 🐢 carillon ", count: 40).utf8)
            let packed = try self.deflated(said)
            for step in [1, 3, packed.count - 1] {
                var frames = clientFrame(text, [], final: false, reserved: compressed) + clientFrame(9, [UInt8(step)])
                var rest = packed[...]
                while !rest.isEmpty {
                    frames += clientFrame(0, Array(rest.prefix(step)), final: false)
                    rest = rest.dropFirst(step)
                }
                try await browser.send(frames + clientFrame(0, []))
                #expect(try await browser.next() == .pong(ByteBuffer(bytes: [UInt8(step)])))
                #expect(try await browser.next() == .text(ByteBuffer(bytes: said)))
            }
        }
    }

    @Test func plainMessagesMayStandBetweenCompressedOnes() async throws {
        try await self.withCompression { gateway in
            let browser = try await gateway.open(fields: self.offering("permessage-deflate"))
            for round in 0..<3 {
                let said = Array("round \(round)".utf8)
                try await browser.send(clientFrame(text, try self.deflated(said), reserved: compressed))
                try await browser.send(clientFrame(binary, said))
                #expect(try await browser.next() == .text(ByteBuffer(bytes: said)))
                #expect(try await browser.next() == .binary(ByteBuffer(bytes: said)))
            }
        }
    }

    /// Random bytes, twice: the second half is found again only in a window that reaches back so far.
    @Test func whatIsSentKeepsToTheAgreedWindow() async throws {
        try await self.withCompression { gateway in
            var random = SeededGenerator(seed: 3)
            let half = (0..<1_000).map { _ in UInt8.random(in: 0...255, using: &random) }
            for (bits, expected) in [(9, 2_000...2_100), (15, 1_000...1_100)] {
                let offer = "permessage-deflate; server_max_window_bits=\(bits)"
                let browser = try await gateway.open(fields: self.offering(offer))
                try await browser.send(clientFrame(binary, half + half))
                let head = await browser.raw(4)
                #expect(head.prefix(2) == [0xC2, 126], "\(bits) bits: a compressed binary message")
                #expect(expected.contains(Int(head[2]) << 8 | Int(head[3])), "\(bits) bits: \(head)")
            }
        }
    }

    // MARK: What is wrong

    @Test(arguments: [
        ("a continuation", clientFrame(text, [65], final: false) + clientFrame(0, [66], reserved: compressed)),
        ("a ping", clientFrame(9, [], reserved: compressed)),
        ("a close", clientFrame(8, [3, 232], reserved: compressed)),
        ("text with another reserved bit", clientFrame(text, [65], reserved: compressed | 0x20)),
    ])
    func onlyTheFirstFrameOfAMessageIsMarkedAsCompressed(_ name: String, _ bytes: [UInt8]) async throws {
        try await self.withCompression { gateway in
            let browser = try await gateway.open(fields: self.offering("permessage-deflate"))
            try await browser.send(bytes)
            #expect(try await browser.next() == .close(.protocolError, reason: "reserved bit"), "\(name)")
            #expect(try await browser.next() == nil)
        }
    }

    @Test func aMessageThatDoesNotInflateIsClosedWith1007() async throws {
        try await self.withCompression { gateway in
            let packed = try self.deflated(Array("carillon carillon carillon".utf8))
            for bytes in [[0xFF, 0xFF, 0xFF], [0x07], [0x06, 0x00], Array(packed.dropLast(3))] as [[UInt8]] {
                let browser = try await gateway.open(fields: self.offering("permessage-deflate"))
                try await browser.send(clientFrame(text, bytes, reserved: compressed))
                #expect(try await browser.next() == .close(.invalidPayload, reason: "message does not inflate"))
            }
            #expect(gateway.metric("carillon_gateway_protocol_errors_total") == 4)
        }
    }

    @Test(arguments: [("text is not UTF-8", [0x41, 0xC0]), ("text ends inside a character", [0x41, 0xE2, 0x82])])
    func compressedTextMustBeUTF8Too(_ reason: String, _ said: [UInt8]) async throws {
        try await self.withCompression { gateway in
            let browser = try await gateway.open(fields: self.offering("permessage-deflate"))
            try await browser.send(clientFrame(text, try self.deflated(said), reserved: compressed))
            #expect(try await browser.next() == .close(.invalidPayload, reason: reason))
        }
    }

    @Test func aMessageThatInflatesToMoreThanTheLimitIsClosedWith1009() async throws {
        try await self.withCompression { gateway in
            let bomb = try self.deflated([UInt8](repeating: 0, count: 4 << 20))
            #expect(bomb.count < 20_000)
            let browser = try await gateway.open(fields: self.offering("permessage-deflate"))
            try await browser.send(clientFrame(binary, bomb, reserved: compressed))
            let reason = "message inflates to over 65536 bytes"
            #expect(try await browser.next() == .close(.messageTooBig, reason: reason))
        }
    }

    @Test func aMessageOfTheLimitThatDeflatingMadeLongerIsTaken() async throws {
        try await self.withCompression { gateway in
            var random = SeededGenerator(seed: 4)
            let said = (0..<65_536).map { _ in UInt8.random(in: 0...255, using: &random) }
            let packed = try self.deflated(said)
            #expect(packed.count > said.count)
            let browser = try await gateway.open(fields: self.offering("permessage-deflate"))
            try await browser.send(clientFrame(binary, packed, reserved: compressed))
            #expect(try await browser.next() == .binary(ByteBuffer(bytes: said)))
        }
    }
}
