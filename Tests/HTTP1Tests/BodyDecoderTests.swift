import HTTP1
import NIOCore
import Testing
import TestSupport

@Suite struct BodyDecoderTests {
    /// What comes out of pieces, and what is left of the last one.
    private struct Outcome: Equatable {
        var body: [UInt8] = []
        var trailers: HeaderFields?
        var error: HTTP1Error.Code?
        var rest = ""

        init(body: String = "", trailers: HeaderFields? = nil, error: HTTP1Error.Code? = nil, rest: String = "") {
            (self.body, self.trailers, self.error, self.rest) = (Array(body.utf8), trailers, error, rest)
        }
    }

    private func outcome(
        _ pieces: [some Sequence<UInt8>], _ framing: BodyFraming = .chunked, limit: Int? = nil, ended: Bool = false
    ) -> Outcome {
        var (buffer, decoder, outcome) = (ByteBuffer(), BodyDecoder(framing: framing, limit: limit), Outcome())
        func take(_ part: BodyPart) {
            switch part {
            case .bytes(let bytes): outcome.body += bytes.readableBytesView
            case .end(let trailers): outcome.trailers = trailers
            }
        }
        do throws(HTTP1Error) {
            for piece in pieces {
                buffer.writeBytes(piece)
                while let part = try decoder.next(&buffer) { take(part) }
            }
            if ended, let part = try decoder.finish() { take(part) }
            outcome.rest = String(buffer: buffer)
        } catch {
            outcome.error = error.code
        }
        return outcome
    }

    private func outcome(
        _ text: String, _ framing: BodyFraming = .chunked, limit: Int? = nil, ended: Bool = false
    ) -> Outcome {
        self.outcome([text.utf8], framing, limit: limit, ended: ended)
    }

    // MARK: Framings

    @Test func aBodyEndsAfterItsLength() {
        let end = HeaderFields()
        #expect(self.outcome("helloGET", .length(5)) == Outcome(body: "hello", trailers: end, rest: "GET"))
        #expect(self.outcome("hel", .length(5)) == Outcome(body: "hel"))
        #expect(self.outcome("hel", .length(5), ended: true).error == .endedEarly)
        #expect(self.outcome("GET", .length(0)) == Outcome(trailers: end, rest: "GET"))
        #expect(self.outcome("GET", .none) == Outcome(trailers: end, rest: "GET"))
        #expect(self.outcome("", .none, ended: true) == Outcome(trailers: end))
    }

    @Test func aBodyUntilTheEndEndsThen() {
        #expect(self.outcome("hello", .untilClose) == Outcome(body: "hello"))
        #expect(self.outcome("hello", .untilClose, ended: true) == Outcome(body: "hello", trailers: HeaderFields()))
        #expect(self.outcome("", .untilClose, ended: true) == Outcome(trailers: HeaderFields()))
    }

    @Test func chunksEndWithTheLastOne() {
        let text = "5\r\nhello\r\n06;a=\"b\"\r\n world\r\n0\r\nX-Sum: 1\r\n\r\nGET"
        let expected = Outcome(body: "hello world", trailers: HeaderFields([("X-Sum", "1")]), rest: "GET")
        #expect(self.outcome(text) == expected)
        for length in [0, 1, 5, 20] {
            #expect(self.outcome(String(text.prefix(length)), ended: true).error == .endedEarly)
        }
    }

    @Test func theLimitHoldsToTheByte() {
        #expect(self.outcome("hello", .length(5), limit: 5).error == nil)
        // Known from the head: nothing is taken.
        #expect(self.outcome("", .length(6), limit: 5).error == .bodyTooLarge)
        #expect(self.outcome("hello", .untilClose, limit: 5).error == nil)
        #expect(self.outcome("hello!", .untilClose, limit: 5).error == .bodyTooLarge)
        #expect(self.outcome("3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", limit: 5).error == nil)
        // Known from the chunk's line: nothing of it is taken.
        #expect(self.outcome("3\r\nhel\r\n3\r\n", limit: 5) == Outcome(body: "hel", error: .bodyTooLarge))
        #expect(self.outcome("FFFFFFFFFFFFFFF\r\n", limit: 5).error == .bodyTooLarge)
        #expect(self.outcome("0\r\n\r\n", limit: 0).error == nil)
    }

    /// Chunks of one byte with long extensions must not let a small body cost a lot.
    @Test func extensionsAreBoundedOverTheWholeBody() {
        let chunk = "1;a=\(String(repeating: "b", count: 200))\r\nx\r\n"
        #expect(self.outcome(String(repeating: chunk, count: 50)).error == nil)
        #expect(self.outcome(String(repeating: chunk, count: 200)).error == .badChunk)
    }

    @Test func manySmallChunksAreTaken() {
        let text = String(repeating: "1\r\na\r\n", count: 10_000) + "0\r\n\r\n"
        let outcome = self.outcome(text)
        #expect(outcome.body.count == 10_000 && outcome.trailers != nil && outcome.error == nil)
    }

    @Test func trailersThatSayHowToReadAreRefusedOrDropped() {
        for name in ["Content-Length", "transfer-encoding", "HOST", "Connection", "Upgrade", "TE"] {
            #expect(self.outcome("0\r\n\(name): 1\r\n\r\n").error == .badChunk, "\(name)")
        }
        let dropped =
            "Cookie: a\r\nX-Forwarded-For: b\r\nAuthorization: c\r\nContent-Type: d\r\nForwarded: e\r\nX-Sum: 1\r\n"
        #expect(self.outcome("0\r\n\(dropped)\r\n").trailers == HeaderFields([("X-Sum", "1")]))
    }

    @Test func afterTheEndNothingIsTaken() throws {
        var decoder = BodyDecoder(framing: .chunked)
        var buffer = ByteBuffer(string: "0\r\n\r\nGET")
        #expect(try decoder.next(&buffer) == .end(trailers: HeaderFields()))
        #expect(try decoder.next(&buffer) == nil && decoder.isComplete && buffer.readableBytes == 3)
        #expect(try decoder.finish() == nil)
    }

    @Test func oddLengthsOfOurOwnMakingDoNoHarm() {
        #expect(self.outcome("GET", .length(-1)) == Outcome(trailers: HeaderFields(), rest: "GET"))
        #expect(self.outcome("hello", .length(.max)).error == nil)
    }

    // MARK: Cuts

    @Test(arguments: [
        "5\r\nhello\r\n0\r\n\r\nGET", "A;a=\"\\\"\";b\r\n0123456789\r\n1\r\n!\r\n00;z\r\nX: y\r\nZ:\r\n\r\nG",
        "0\r\n\r\n",
        "5\r\nhello!\r\n", "5\nhello", "0\r\nX: a\r\n b\r\n\r\n", "0\r\n: a\r\n\r\n", "0\r\n\n", "1\r\na\r\n-1\r\n",
        "5;a=\"\n",
    ])
    func howeverChunksAreCutTheSameComesOut(_ text: String) {
        let bytes = Array(text.utf8)
        let whole = self.outcome(text)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                let pieces = [bytes[..<first], bytes[first..<second], bytes[second...]]
                guard self.outcome(pieces) != whole else { continue }
                Issue.record("cut at \(first) and \(second)")
                return
            }
        }
        #expect(self.outcome(bytes.map { [$0] }) == whole)
    }

    @Test func mutatedBodiesComeOutTheSameHoweverCut() throws {
        let shapes = RequestShape.all.compactMap { shape -> [UInt8]? in
            let head = shape.bytes.firstRange(of: Array("chunked\r\n\r\n".utf8))
            guard let head, shape.bytes.count < 400 else { return nil }
            return Array(shape.bytes[head.upperBound...])
        }
        var mutator = Mutator(corpus: shapes, interesting: Array("\r\n ;=\"\\0159afAF:".utf8), seed: 7112)
        var generator = SeededGenerator(seed: 7113)
        for _ in 0..<3000 {
            let bytes = mutator.next()
            let first = Int.random(in: 0...bytes.count, using: &generator)
            let second = Int.random(in: first...bytes.count, using: &generator)
            let whole = self.outcome([bytes])
            let cut = self.outcome([bytes[..<first], bytes[first..<second], bytes[second...]])
            try #require(
                whole == cut, "\(String(decoding: bytes, as: UTF8.self).debugDescription) at \(first), \(second)")
        }
    }
}
