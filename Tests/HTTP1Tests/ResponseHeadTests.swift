import HTTP1
import NIOCore
import Testing
import TestSupport

@Suite struct ResponseHeadTests {
    private func parse(_ text: String, _ limits: HeadLimits = HeadLimits()) throws(HTTP1Error) -> ResponseHead? {
        var buffer = ByteBuffer(string: text)
        var parser = ResponseHeadParser(limits: limits)
        return try parser.parse(&buffer)
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK", 200, "OK", HTTPVersion.http11), ("HTTP/1.0 404 Not Found", 404, "Not Found", .http10),
        ("HTTP/1.1 200 ", 200, "", .http11), ("HTTP/1.1 200", 200, "", .http11),
        ("HTTP/1.1 999 a  b ", 999, "a  b ", .http11), ("HTTP/1.1 500 Grüß\tGott", 500, "Grüß\tGott", .http11),
    ])
    func aStatusLineIsRead(_ line: String, _ status: Int, _ reason: String, _ version: HTTPVersion) throws {
        let head = try #require(try self.parse(line + "\r\nX: a\r\n\r\n"))
        #expect(head.status == status && head.reason == reason && head.version == version && head.fields["x"] == "a")
    }

    @Test(arguments: [
        "HTTP/1.1  200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 099 OK", "HTTP/1.1 000 OK",
        "HTTP/1.1 +20 OK", "HTTP/1.1 2a0 OK", "HTTP/1.1\t200 OK", "HTTP/1.1 200\tOK", "HTTP/1.1 200OK",
        " HTTP/1.1 200 OK",
        "http/1.1 200 OK", "HTTP/2.0 200 OK", "HTTP/1.2 200 OK", "HTTP/1.1200 OK", "ICY 200 OK", "200 OK",
        "\r\nHTTP/1.1 200 OK",
        "HTTP/1.1 200 O\0K", "HTTP/1.1 200 O\rK", "HTTP/1.1 200 O\nK", "HTTP/1.1 200 O\u{7F}K", "HTTP/1.1", "HTTP/1.1 ",
    ])
    func aMalformedStatusLineIsTheUpstreamsFault(_ line: String) {
        let error = #expect(throws: HTTP1Error.self) { try self.parse(line + "\r\n\r\n") }
        #expect(error?.status == 502)
    }

    @Test(arguments: [
        "Content-Length: 5\r\nTransfer-Encoding: chunked", "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: -1", "Content-Length: 9223372036854775808", "Content-Length:", "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: identity",
        "X: a\r\n b", "X : a", ": a", "X: \0", "X: a\nY: b", "X: a\rY: b", "X",
    ])
    func whatTwoReadersCouldUnderstandDifferentlyIsRefused(_ fields: String) {
        let error = #expect(throws: HTTP1Error.self) {
            try self.parse("HTTP/1.1 200 OK\r\n\(fields)\r\n\r\n")
        }
        #expect(error?.status == 502)
    }

    @Test func aCodingInHTTP10IsRefused() {
        #expect(throws: HTTP1Error.self) { try self.parse("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") }
    }

    @Test(arguments: [
        (200, "GET", "Content-Length: 5", BodyFraming.length(5)), (200, "GET", "Content-Length: 0", .length(0)),
        (200, "GET", "Transfer-Encoding: chunked", .chunked), (200, "GET", "X: a", .untilClose),
        (200, "HEAD", "Content-Length: 5", .none), (200, "HEAD", "Transfer-Encoding: chunked", .none),
        (200, "HEAD", "X: a", .none), (204, "GET", "X: a", .none), (204, "GET", "Content-Length: 5", .none),
        (304, "GET", "Content-Length: 5", .none), (304, "GET", "X: a", .none), (100, "POST", "X: a", .none),
        (101, "GET", "Upgrade: websocket", .none), (103, "GET", "X: a", .none),
        (200, "CONNECT", "Content-Length: 5", .none),
        (299, "CONNECT", "X: a", .none), (407, "CONNECT", "Content-Length: 5", .length(5)),
        (500, "POST", "X: a", .untilClose), (205, "GET", "Content-Length: 0", .length(0)),
        (200, "head", "Content-Length: 5", .length(5)),
    ])
    func theEndOfABodyIsKnown(_ status: Int, _ method: String, _ field: String, _ framing: BodyFraming) throws {
        let head = try #require(try self.parse("HTTP/1.1 \(status) X\r\n\(field)\r\n\r\n"))
        #expect(try head.framing(requestMethod: method) == framing)
    }

    @Test func interimResponsesAreKnown() {
        let interim = [99, 100, 101, 102, 103, 199, 200].filter { ResponseHead(status: $0).isInterim }
        #expect(interim == [100, 102, 103, 199])
    }

    @Test func boundsHold() {
        let limits = HeadLimits(headBytes: 100, fields: 2, targetBytes: 1)
        #expect(throws: HTTP1Error.self) {
            try self.parse("HTTP/1.1 200 " + String(repeating: "a", count: 100), limits)
        }
        #expect(throws: HTTP1Error.self) { try self.parse("HTTP/1.1 200 OK\r\nA:\r\nB:\r\nC:\r\n\r\n", limits) }
        #expect(throws: Never.self) { try self.parse("HTTP/1.1 200 OK\r\nA:\r\nB:\r\n\r\n", limits) }
        #expect(throws: HTTP1Error.self) {
            try self.parse("HTTP/1.1 200 OK\r\nA: " + String(repeating: "a", count: 100), limits)
        }
    }

    @Test func howeverAResponseIsCutTheSameComesOut() throws {
        for text in ResponseCorpus.accepted {
            let bytes = Array(text.utf8)
            let whole = try self.outcome([bytes])
            #expect(!whole.isEmpty)
            for first in bytes.indices {
                let cut = try self.outcome([Array(bytes[..<first]), Array(bytes[first...])])
                try #require(cut == whole, "cut at \(first): \(text.debugDescription)")
            }
            #expect(try self.outcome(bytes.map { [$0] }) == whole)
        }
    }

    @Test func mutatedResponsesComeOutTheSameHoweverCut() throws {
        var mutator = Mutator(
            corpus: ResponseCorpus.accepted.map { Array($0.utf8) }, interesting: Array("\r\n :,;=\t\0012HTP/.".utf8),
            seed: 0x502)
        var generator = SeededGenerator(seed: 0x503)
        func text(_ pieces: [[UInt8]]) -> String {
            do { return try self.outcome(pieces) } catch { return "\(error)" }
        }
        for _ in 0..<3000 {
            let bytes = mutator.next()
            let first = Int.random(in: 0...bytes.count, using: &generator)
            let second = Int.random(in: first...bytes.count, using: &generator)
            let cut = text([bytes[..<first], bytes[first..<second], bytes[second...]].map { Array($0) })
            let shown = String(decoding: bytes, as: UTF8.self).debugDescription
            try #require(text([bytes]) == cut, "\(shown) at \(first), \(second)")
        }
    }

    /// Heads and the first body, as one text.
    private func outcome(_ pieces: [[UInt8]]) throws -> String {
        var (buffer, parser, outcome) = (ByteBuffer(), ResponseHeadParser(), "")
        var body: BodyDecoder?
        for piece in pieces {
            buffer.writeBytes(piece)
            while true {
                if body == nil {
                    guard let head = try parser.parse(&buffer) else { break }
                    outcome += "\(head.status) \(head.reason)\n\(head.fields)\n"
                    if !head.isInterim { body = BodyDecoder(framing: try head.framing(requestMethod: "GET")) }
                    continue
                }
                guard let part = try body?.next(&buffer) else { break }
                switch part {
                case .bytes(let bytes): outcome += bytes.readableBytesView.map { String($0, radix: 16) }.joined()
                case .end(let trailers): return outcome + "|\(trailers)"
                }
            }
        }
        if let part = try body?.finish(), case .end = part { outcome += "|" }
        return outcome
    }
}
