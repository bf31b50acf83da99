import NIOCore

import TestSupport
import Testing

@testable import Gateway

/// A frame as a browser sends it.
func clientFrame(
    _ opcode: UInt8, _ payload: [UInt8], final: Bool = true, reserved: UInt8 = 0,
    key: (UInt8, UInt8, UInt8, UInt8)? = (0x37, 0xFA, 0x21, 0x3D)
) -> [UInt8] {
    var frame: [UInt8] = [(final ? 0x80 : 0) | reserved | opcode]
    let maskBit: UInt8 = key == nil ? 0 : 0x80
    switch payload.count {
    case ..<126: frame.append(maskBit | UInt8(payload.count))
    case ..<65536: frame += [maskBit | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
    default: frame += [maskBit | 127] + (0..<8).reversed().map { UInt8(truncatingIfNeeded: payload.count >> ($0 * 8)) }
    }
    guard let key else { return frame + payload }
    let keys = [key.0, key.1, key.2, key.3]
    return frame + keys + payload.enumerated().map { $1 ^ keys[$0 % 4] }
}

/// What a parser makes of bytes that come in pieces of `step`; the failure ends it.
func parse(_ bytes: [UInt8], step: Int = .max, limit: Int = 1 << 20, inflater: Inflater? = nil)
    -> (events: [WebSocketParser.Event], failure: WebSocketParser.Failure?)
{
    var parser = WebSocketParser(messageLimit: limit, inflater: inflater)
    var events: [WebSocketParser.Event] = []
    var input = ByteBuffer()
    var rest = bytes[...]
    while !rest.isEmpty {
        input.writeBytes(rest.prefix(step))
        rest = rest.dropFirst(step)
        do {
            while let event = try parser.next(&input) { events.append(event) }
        } catch {
            return (events, error)
        }
    }
    return (events, nil)
}

private func buffer(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

@Suite struct WebSocketParserTests {
    @Test func readsTheExampleOfTheRFC() {
        let hello: [UInt8] = [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]
        #expect(parse(hello).events == [.text(buffer("Hello"))])
    }

    @Test func whereverTheBytesAreCutTheSameEventsComeOut() {
        let long = [UInt8](repeating: 0x41, count: 70_000)
        let bytes =
            clientFrame(1, Array("żółw 🐢".utf8)) + clientFrame(2, long) + clientFrame(9, [1, 2, 3])
            + clientFrame(1, Array("fra".utf8), final: false) + clientFrame(10, [])
            + clientFrame(0, Array("gment".utf8))
            + clientFrame(1, []) + clientFrame(8, [0x03, 0xE8] + Array("bye".utf8))
        let whole = parse(bytes)
        #expect(whole.failure == nil)
        #expect(whole.events.count == 7)
        #expect(whole.events[3] == .pong(ByteBuffer()))
        #expect(whole.events[4] == .text(buffer("fragment")))
        #expect(whole.events[6] == .close(.normal, reason: "bye"))
        for step in [1, 2, 3, 5, 7, 64, 1000] {
            let cut = parse(bytes, step: step)
            #expect(cut.events == whole.events && cut.failure == nil)
        }
    }

    @Test(arguments: [
        ("unmasked", clientFrame(1, [65], key: nil), CloseCode.protocolError),
        ("reserved opcode", clientFrame(3, []), .protocolError),
        ("reserved control opcode", clientFrame(0xB, []), .protocolError),
        ("reserved bit", clientFrame(1, [], reserved: 0x20), .protocolError),
        ("compressed without agreement", clientFrame(1, [], reserved: 0x40), .protocolError),
        ("long ping", clientFrame(9, [UInt8](repeating: 0, count: 126)), .protocolError),
        ("fragmented ping", clientFrame(9, [], final: false), .protocolError),
        ("nothing to continue", clientFrame(0, []), .protocolError),
        ("message in a message", clientFrame(1, [65], final: false) + clientFrame(1, [66]), .protocolError),
        ("one-byte close", clientFrame(8, [3]), .protocolError),
        ("reserved close code", clientFrame(8, [0x03, 0xED]), .protocolError),
        ("close code 999", clientFrame(8, [0x03, 0xE7]), .protocolError),
        ("close code 5000", clientFrame(8, [0x13, 0x88]), .protocolError),
        ("close reason not UTF-8", clientFrame(8, [0x03, 0xE8, 0xFF]), .invalidPayload),
        ("text not UTF-8", clientFrame(1, [0xC0, 0x80]), .invalidPayload),
        ("text cut inside a character", clientFrame(1, [0xE2, 0x82]), .invalidPayload),
        ("surrogate", clientFrame(1, [0xED, 0xA0, 0x80]), .invalidPayload),
        ("length not shortest", [0x81, 0xFE, 0x00, 0x05], .protocolError),
        ("length above 2^63", [0x82, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0], .protocolError),
        ("huge", [0x82, 0xFF, 0x00, 0xFF, 0, 0, 0, 0, 0, 0], .messageTooBig),
    ])
    func refuses(_ name: String, _ bytes: [UInt8], _ code: CloseCode) {
        #expect(parse(bytes).failure?.code == code, "\(name)")
        #expect(parse(bytes, step: 1).failure?.code == code, "\(name), byte by byte")
    }

    @Test func anInvalidTextIsRefusedBeforeItsFrameIsComplete() {
        let frame = clientFrame(1, Array("κόσμε".utf8) + [0xF4, 0x90] + [UInt8](repeating: 65, count: 100))
        #expect(parse(Array(frame.prefix(6 + 10 + 2))).failure?.code == .invalidPayload)
    }

    @Test func fragmentsTogetherAreHeldToTheLimit() {
        let part = [UInt8](repeating: 65, count: 600)
        let bytes = clientFrame(1, part, final: false) + clientFrame(0, part)
        #expect(parse(bytes, limit: 1000).failure?.code == .messageTooBig)
        #expect(parse(bytes, limit: 1200).events.count == 1)
    }

    @Test func emptyFragmentsEndSomewhere() {
        let start = clientFrame(1, [65], final: false)
        let empty = clientFrame(0, [], final: false)
        let most = (0..<WebSocketParser.emptyFragmentLimit).flatMap { _ in empty }
        #expect(parse(start + most + clientFrame(0, [66])).events == [.text(buffer("AB"))])
        #expect(parse(start + most + empty).failure?.code == .policyViolation)
        // Each message has its own.
        let two = start + most + clientFrame(0, [66]) + start + most + clientFrame(0, [66])
        #expect(parse(two).events.count == 2)
    }

    @Test func whateverTheBytesNothingTraps() {
        var random = SeededGenerator(seed: 7)
        let corpus = [
            clientFrame(1, Array("hello".utf8)), clientFrame(8, [3, 232]), clientFrame(9, [1]),
            clientFrame(2, [UInt8](repeating: 9, count: 300)),
            clientFrame(1, [0x2A, 0x49, 0x05, 0x00], reserved: 0x40),
        ]
        let inflater = Inflater()
        for _ in 0..<3000 {
            var bytes = corpus.flatMap { Bool.random(using: &random) ? $0 : [] }
            for _ in 0..<Int.random(in: 0...6, using: &random) where !bytes.isEmpty {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            _ = parse(bytes, step: Int.random(in: 1...64, using: &random), limit: 4096, inflater: inflater)
        }
    }

    @Test func masksFromAnyPhase() {
        let key = MaskingKey((1, 2, 3, 4))
        let bytes = (0..<40).map { UInt8($0) }
        let whole = bytes.enumerated().map { $1 ^ [1, 2, 3, 4][$0 % 4] }
        for cut in 0...40 {
            var head = Array(bytes[..<cut])
            var tail = Array(bytes[cut...])
            head.withUnsafeMutableBytes { key.apply(to: $0, phase: 0) }
            tail.withUnsafeMutableBytes { key.apply(to: $0, phase: cut) }
            #expect(head + tail == whole)
        }
    }
}

@Suite struct CompressionTests {
    @Test(arguments: 9...15) func whatIsDeflatedInflates(windowBits: Int) {
        let deflater = Deflater(windowBits: windowBits)
        let inflater = Inflater()
        for text in ["", "a", String(repeating: "carillon ", count: 500), String(repeating: "xyz", count: 100_000)] {
            let bytes = ByteBuffer(string: text)
            guard let packed = deflater.deflate(bytes) else {
                Issue.record("not deflated")
                return
            }
            #expect(inflater.inflate(packed, limit: 1 << 20) == .bytes(bytes))
        }
    }

    /// Lengths at which the room for the result is used up to the last byte among them.
    @Test(arguments: [1, 1023, 1024, 1025, 2048, 4096, 8192, 65_536]) func aMessageOfAnyLengthInflates(_ length: Int)
        throws
    {
        let bytes = ByteBuffer(bytes: (0..<length).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) })
        let packed = try #require(Deflater(windowBits: 15).deflate(bytes))
        #expect(Inflater().inflate(packed, limit: length) == .bytes(bytes))
        if length > 1 { #expect(Inflater().inflate(packed, limit: length - 1) == .tooBig) }
    }

    @Test func nothingInflatesToNothing() {
        #expect(Inflater().inflate(ByteBuffer(), limit: 10) == .bytes(ByteBuffer()))
        #expect(Inflater().inflate(ByteBuffer(bytes: [0]), limit: 10) == .bytes(ByteBuffer()))
    }

    @Test(arguments: ["hello hello hello hello", String(repeating: "carillon ", count: 500)])
    func aMessageCutShortDoesNotInflate(_ text: String) throws {
        let packed = try #require(Deflater(windowBits: 15).deflate(ByteBuffer(string: text)))
        let inflater = Inflater()
        for length in 1..<(packed.readableBytes - 1) {
            let cut = try #require(packed.getSlice(at: packed.readerIndex, length: length))
            #expect(inflater.inflate(cut, limit: 1 << 20) == .invalid, "\(length) bytes")
        }
        #expect(inflater.inflate(packed, limit: 1 << 20) == .bytes(ByteBuffer(string: text)))
    }

    /// RFC 7692 section 7.2.3.4 and .5: stored blocks, a final block, and several blocks in one message.
    @Test(
        arguments: [
            [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00],
            [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00],
            [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00],
        ] as [[UInt8]])
    func theExamplesOfTheRFCInflate(_ bytes: [UInt8]) {
        #expect(Inflater().inflate(ByteBuffer(bytes: bytes), limit: 10) == .bytes(ByteBuffer(string: "Hello")))
    }

    @Test func aBombIsStoppedAtTheLimit() {
        let zeros = ByteBuffer(repeating: 0, count: 8 << 20)
        guard let bomb = Deflater(windowBits: 15).deflate(zeros) else {
            Issue.record("not deflated")
            return
        }
        #expect(Inflater().inflate(bomb, limit: 65_536) == .tooBig)
    }

    @Test func theAgreementKeepsToTheOffer() {
        #expect(CompressionAgreement(offers: ["permessage-deflate"])?.windowBits == 15)
        let offer = "permessage-deflate; server_max_window_bits=\"10\"; client_max_window_bits"
        #expect(CompressionAgreement(offers: [offer])?.windowBits == 10)
        #expect(CompressionAgreement(offers: [offer])?.answer.hasSuffix("server_max_window_bits=10") == true)
        #expect(CompressionAgreement(offers: ["x-webkit-deflate-frame, permessage-deflate"])?.windowBits == 15)
        for bad in [
            "permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits", "permessage-deflate; unknown",
            "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; client_max_window_bits=07",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover", "permessage-bzip2", "",
        ] {
            #expect(CompressionAgreement(offers: [bad]) == nil, "\(bad)")
        }
    }
}

@Suite struct FrameWriterTests {
    @Test(arguments: [0, 1, 125, 126, 127, 65_535, 65_536, 100_000]) func aClientReadsWhatIsWritten(length: Int) throws
    {
        let payload = ByteBuffer(repeating: 0x61, count: length)
        var frame = ByteBuffer()
        frame.writeWebSocketFrame(.text, payload: payload)
        var client = WebSocketParser(role: .client, messageLimit: 1 << 20)
        #expect(try client.next(&frame) == .text(payload))
        #expect(frame.readableBytes == 0)
    }

    @Test func aLongCloseReasonIsCutAtACharacter() throws {
        var frame = ByteBuffer()
        frame.writeWebSocketClose(.slow, reason: String(repeating: "ż", count: 100))
        var client = WebSocketParser(role: .client, messageLimit: 1000)
        #expect(try client.next(&frame) == .close(.slow, reason: String(repeating: "ż", count: 61)))
    }
}
