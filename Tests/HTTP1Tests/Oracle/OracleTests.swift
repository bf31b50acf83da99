import HTTP1
import NIOHTTP1
import Testing
import TestSupport

/// NIOHTTP1 as the oracle. Ours may be stricter, never laxer, and never of another opinion.
@Suite struct OracleTests {
    @Test(arguments: RequestShape.smuggling)
    func nobodySeesTheSmuggledRequest(_ shape: RequestShape) throws {
        let ours = OurReader.requests(shape.bytes)
        #expect(ours.refusal != nil, "it was taken as \(ours.messages)")
        #expect(!ours.messages.contains { $0.line.contains(RequestShape.smuggledTarget) })
        #expect(ours.completeMessages == 0)
    }

    @Test(arguments: RequestShape.taken)
    func whatIsRightIsTakenAsTheOtherReaderTakesIt(_ shape: RequestShape) throws {
        let (ours, other) = (OurReader.requests(shape.bytes), try OtherReader.requests(shape.bytes))
        #expect(ours.refusal == nil && ours.messages.last?.isComplete == true)
        try Self.compare(ours, other, shape.bytes)
        #expect(ours.messages.count == other.messages.count)
    }

    @Test func mutatedRequestsNeverGetPastUsAlone() throws {
        let good = RequestShape.taken.map(\.bytes)
        let bad = RequestShape.smuggling.map(\.bytes).filter { $0.count < 400 }
        let pipelined = good.map { $0 + Array("GET /next HTTP/1.1\r\nHost: b\r\n\r\n".utf8) }
        var mutator = Mutator(
            corpus: good + good + pipelined + bad, interesting: Array("\r\n :,;=\t\0\"%\u{7F}0159afHTP/.".utf8),
            seed: 0x0112)
        for _ in 0..<Self.rounds {
            let bytes = mutator.next()
            let other = try OtherReader.requests(bytes)
            try Self.compare(OurReader.requests(bytes), other, bytes)
            if other.refusal != nil { try Self.checkNothingFollows(other, bytes, OurReader.requests) }
        }
    }

    @Test func mutatedResponsesNeverGetPastUsAlone() throws {
        var mutator = Mutator(
            corpus: ResponseCorpus.accepted.map { Array($0.utf8) }, interesting: Array("\r\n :,;=\t\0012HTP/.".utf8),
            seed: 0x0911)
        let methods: [HTTPMethod] = [.GET, .HEAD, .POST]
        for round in 0..<Self.rounds {
            let bytes = mutator.next()
            let method = methods[round % methods.count]
            let ended = round % 2 == 0
            let ours = { OurReader.responses($0, to: method.rawValue, ended: ended) }
            let other = try OtherReader.responses(bytes, to: method, ended: ended)
            try Self.compare(ours(bytes), other, bytes)
            if other.refusal != nil, !ended { try Self.checkNothingFollows(other, bytes, ours) }
        }
    }

    private static let rounds = 2500

    /// The other reader has refused, perhaps before ours had a whole line to judge: whatever comes now, ours must not see
    /// more than the other did.
    static func checkNothingFollows(
        _ other: Transcript, _ bytes: [UInt8], _ ours: ([UInt8]) -> Transcript
    ) throws {
        for more in [
            "", "\r\n", "\r\n\r\n", "\n", "\n\r\n", "0\r\n\r\n", ": a\r\n\r\n", " HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            let whole = bytes + Array(more.utf8)
            let seen = ours(whole)
            let shown = String(decoding: whole, as: UTF8.self).debugDescription
            try #require(
                seen.messages.count <= other.messages.count
                    && seen.completeMessages <= other.completeMessages,
                "the other reader says \(other.refusal ?? ""): \(shown)")
        }
    }

    /// - Parameters:
    ///   - bytes: what both have read, to be shown.
    static func compare(_ ours: Transcript, _ other: Transcript, _ bytes: [UInt8]) throws {
        let shown = String(decoding: bytes, as: UTF8.self).debugDescription
        // Ours may stop sooner; as far as it goes, both must have seen the same.
        for (index, message) in ours.messages.enumerated() {
            guard index < other.messages.count else {
                try #require(other.refusal == nil && !message.isComplete, "only ours sees \(message.line): \(shown)")
                break
            }
            let theirs = other.messages[index]
            try #require(message.line == theirs.line, "\(shown)")
            try #require(message.fields == theirs.fields, "\(shown)")
            guard message.isComplete else {
                try #require(theirs.body.starts(with: message.body), "\(shown)")
                continue
            }
            try #require(theirs.isComplete && message.body == theirs.body, "\(shown)")
            try #require(message.trailers.allSatisfy(theirs.trailers.contains), "\(shown)")
        }
    }
}

/// Responses to start from.
enum ResponseCorpus {
    static let accepted = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 \r\nContent-Length: 0005\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\n\r\nuntil the end",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2;a=b\r\nhi\r\n0\r\nX: a\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nX: a\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\u{1}\u{2}",
        "HTTP/1.1 500 Grüß Gott\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n",
    ]
}
