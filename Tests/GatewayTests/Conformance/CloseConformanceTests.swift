import NIOCore
import Testing

@testable import Gateway

/// How a connection ends (RFC 6455 sections 5.5.1 and 7).
@Suite(.timeLimit(.minutes(1))) struct CloseConformanceTests {
    private static func close(_ code: UInt16, _ reason: [UInt8] = []) -> [UInt8] {
        clientFrame(8, [UInt8(code >> 8), UInt8(code & 0xFF)] + reason)
    }

    @Test(arguments: [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])
    func aCloseIsReturnedWithItsCodeAndTheConnectionEnds(_ code: UInt16) async throws {
        try await withGateway { gateway in
            for reason in ["", "bye", String(repeating: "ż", count: 61) + "!"] {
                let browser = try await gateway.open()
                try await browser.send(Self.close(code, Array(reason.utf8)))
                #expect(try await browser.next() == .close(CloseCode(rawValue: code), reason: ""))
                #expect(try await browser.next() == nil)
            }
            #expect(gateway.metric("carillon_gateway_protocol_errors_total") == 0)
        }
    }

    @Test func aCloseWithoutACodeIsReturnedWithoutOne() async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            try await browser.send(clientFrame(8, []))
            #expect(try await browser.next() == .close(.noStatus, reason: ""))
            #expect(try await browser.next() == nil)
        }
    }

    @Test(arguments: [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
    func aCodeThatNobodyMaySendIsAProtocolError(_ code: UInt16) async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            try await browser.send(Self.close(code))
            #expect(try await browser.next() == .close(.protocolError, reason: "close code \(code)"))
            #expect(try await browser.next() == nil)
            #expect(gateway.metric("carillon_gateway_protocol_errors_total") == 1)
        }
    }

    @Test(arguments: [
        ("a code of one byte", clientFrame(8, [3]), CloseCode.protocolError),
        ("a reason of 124 bytes", close(1000, [UInt8](repeating: 0x2A, count: 124)), .protocolError),
        ("a close in fragments", clientFrame(8, [3, 232], final: false), .protocolError),
        ("a reason that is not UTF-8", close(1000, [0xFF]), .invalidPayload),
        ("a reason that ends inside a character", close(1000, [0x41, 0xE2, 0x82]), .invalidPayload),
        ("a reason with a surrogate", close(1000, [0xED, 0xA0, 0x80]), .invalidPayload),
    ])
    func aMalformedCloseIsAnsweredWithWhatIsWrong(_ name: String, _ frame: [UInt8], _ code: CloseCode) async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            try await browser.send(frame)
            guard case .close(code, _) = try await browser.next() else {
                Issue.record("\(name)")
                return
            }
            #expect(try await browser.next() == nil)
        }
    }

    @Test(arguments: [
        ("text", clientFrame(1, [65])), ("a ping", clientFrame(9, [])), ("another close", close(1001)),
        ("a broken frame", clientFrame(3, [])),
    ])
    func whatFollowsACloseIsIgnored(_ name: String, _ frame: [UInt8]) async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            try await browser.send(Self.close(1000) + frame)
            #expect(try await browser.next() == .close(.normal, reason: ""), "\(name)")
            #expect(try await browser.next() == nil, "\(name)")
        }
    }

    @Test func aCloseInsideAMessageEndsTheConnectionWithoutTheMessage() async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            try await browser.send(clientFrame(1, [65], final: false) + Self.close(1000) + clientFrame(0, [66]))
            #expect(try await browser.next() == .close(.normal, reason: ""))
            #expect(try await browser.next() == nil)
        }
    }

    @Test func whatWasSaidBeforeACloseIsAnswered() async throws {
        try await withGateway {
            $0.session.messageLimit = 1 << 20
        } _: { gateway in
            let browser = try await gateway.open()
            let long = [UInt8](repeating: 7, count: 1 << 20)
            try await browser.send(clientFrame(2, long) + clientFrame(9, [1]) + Self.close(1000))
            #expect(try await browser.next() == .binary(ByteBuffer(bytes: long)))
            #expect(try await browser.next() == .pong(ByteBuffer(bytes: [1])))
            #expect(try await browser.next() == .close(.normal, reason: ""))
        }
    }

    @Test func aConnectionThatEndsWithoutACloseIsForgotten() async throws {
        try await withGateway { gateway in
            let browser = try await gateway.open()
            #expect(gateway.server.context.census.connections == 1)
            try await browser.send(Array(clientFrame(1, [65, 66]).dropLast()))
            try await browser.endOutput()
            #expect(try await browser.next() == nil)
            // The socket is closed a moment before it is forgotten.
            while gateway.server.context.census.connections > 0 { await Task.yield() }
        }
    }
}
