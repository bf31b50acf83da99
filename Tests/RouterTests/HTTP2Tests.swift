import Foundation
import HTTP1
import NIOCore
import NIOHPACK
import TestSupport
import Testing

@testable import Router
@testable import Upstream

/// Browsers that speak HTTP/2.
@Suite(.timeLimit(.minutes(1))) struct HTTP2Tests {
    private func withSite(
        _ upstream: FakeUpstream, _ change: (inout RouterConfiguration) -> Void = { _ in },
        _ body: @escaping @Sendable (HTTP2Browser, RunningRouter) throws -> Void
    ) async throws {
        try await withTestFolder { folder in
            let authority = try TestAuthority("authority", in: folder)
            let files = try authority.issue("example.org", hosts: ["example.org"])
            var settings = configuration([upstream.address])
            settings.secureListen = [.tcp(host: "127.0.0.1", port: 0)]
            settings.tls.identities = [.init(certificate: files.certificate, key: files.key)]
            change(&settings)
            try await withRouter(settings) { router throws in
                guard case .tcp(_, let port)? = router.router.secureAddresses.first else {
                    throw Socket.Failure(description: "no TLS address")
                }
                try body(try HTTP2Browser(port: port, authority: authority.file), router)
            }
        }
    }

    @Test func aRequestIsOneOfHTTP11ForTheWorkers() async throws {
        let upstream = try FakeUpstream.answering { request in
            ok(request.head, "X-Answer: yes\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n")
        }
        try await self.withSite(upstream) { browser, _ throws in
            let answer = try browser.ask(
                "GET", "/a?b=%20", [("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers"), ("x-odd", "ä")])
            let seen = Message(head: answer.text)
            #expect(answer.status == "200" && seen.firstLine == "GET /a?b=%20 HTTP/1.1")
            #expect(seen.values("cookie") == ["a=1; b=2"] && seen["host"] == "example.org" && seen["x-odd"] == "ä")
            #expect(seen["via"] == "2.0 carillon" && seen["x-forwarded-proto"] == "https")
            #expect(seen["transfer-encoding"] == nil && seen["content-length"] == nil)
            #expect(answer.heads.last?["x-answer"] == ["yes"])
            #expect(answer.heads.last?["connection"] == [] && answer.heads.last?["keep-alive"] == [])
        }
    }

    @Test func bodiesPassBothWaysWithAndWithoutALength() async throws {
        let upstream = try FakeUpstream.answering { ok("\($0["transfer-encoding"] ?? "-") \($0.body) \($0.trailers)") }
        try await self.withSite(upstream) { browser, _ throws in
            #expect(try browser.ask("POST", "/", body: ["abc", "def"]).text == "chunked abcdef []")
            #expect(
                try browser.ask("POST", "/", [("content-length", "6")], body: ["abc", "def"]).text == "- abcdef []")
            #expect(
                try browser.ask("POST", "/", body: ["abc"], trailers: [("x-sum", "1")]).text
                    == "chunked abc [\"x-sum: 1\"]")
            let large = String(repeating: "0123456789", count: 200_000)
            #expect(try browser.ask("PUT", "/", body: [large]).text == "chunked \(large) []")
        }
    }

    @Test func manyRequestsAreUnderWayAtOnce() async throws {
        let upstream = try FakeUpstream.answering { ok($0.firstLine) }
        try await self.withSite(upstream) { browser, _ throws in
            let answers = try (0..<90).map { try browser.begin("GET", "/\($0)") }
            for (number, answer) in answers.enumerated() {
                #expect(try answer.wait().text == "GET /\(number) HTTP/1.1")
            }
        }
    }

    @Test func answersOfEveryKindArriveWhole() async throws {
        let upstream = try FakeUpstream { socket, _ in
            while true {
                let request = try socket.readMessage()
                switch request.firstLine.split(separator: " ")[1] {
                case "/chunks":
                    try socket.send(
                        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                            + "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n")
                case "/empty": try socket.send("HTTP/1.1 204 No Content\r\n\r\n")
                case "/same": try socket.send("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n")
                case "/cut":
                    try socket.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
                    return
                default: try socket.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
                }
            }
        }
        try await self.withSite(upstream) { browser, _ throws in
            let chunks = try browser.ask("GET", "/chunks")
            #expect(chunks.text == "abcde" && chunks.trailers?["x-sum"] == ["5"])
            #expect(chunks.heads.map { $0.first(name: ":status") } == ["103", "200"])
            #expect(try browser.ask("GET", "/empty").status == "204")
            #expect(try browser.ask("GET", "/same").heads.last?["etag"] == ["\"a\""])
            let head = try browser.ask("HEAD", "/")
            #expect(head.status == "200" && head.heads.last?["content-length"] == ["7"] && head.text.isEmpty)
            // Short of what was promised: the stream is reset, the connection goes on.
            #expect(try browser.ask("GET", "/cut").reset == .internalError)
            #expect(try browser.ask("GET", "/empty").status == "204")
        }
    }

    @Test func whatIsRefusedInHTTP11IsRefusedHere() async throws {
        let upstream = try FakeUpstream.answering { _ in ok("reached") }
        try await self.withSite(upstream) { browser, _ throws in
            #expect(try browser.ask("TRACE", "/").status == "405")
            #expect(upstream.connections == 0)
            // The page that comes before the body's end is whole, and the rest of the body is not wanted.
            #expect(try browser.ask("GET", "/%63hannels/", ends: true).status == "400")
        }
    }

    // MARK: Without a socket

    @Test(arguments: [
        [(":path", "/ HTTP/1.1\r\nX: y")], [(":path", "/a b")], [(":path", "/\u{0}")], [(":path", "a")],
        [(":path", "")],
        [(":path", "http://evil/")], [(":method", "GET / HTTP/1.1\r\n")], [(":method", "G T")],
        [(":method", "CONNECT")],
        [("x", "a\r\nContent-Length: 5")], [("x", "a\nb")], [("x", "\u{0}")], [("a b", "c")], [("X", "c")],
        [("x:", "c")], [("connection", "close")], [("transfer-encoding", "chunked")], [("upgrade", "websocket")],
        [("keep-alive", "5")], [("te", "gzip")], [("host", "evil")], [("host", "a"), ("host", "a")],
        [("proxy-connection", "x")], [("cookie", "a\r\nb: c")], [(":authority", "a\r\nx: y")],
    ])
    func nothingGetsOutOfItsPlace(_ changed: [(String, String)]) throws {
        var headers = HPACKHeaders([(":method", "POST"), (":scheme", "https"), (":path", "/"), (":authority", "a")])
        for (name, value) in changed {
            if name.hasPrefix(":") {
                headers.replaceOrAdd(name: name, value: value)
            } else {
                headers.add(name: name, value: value)
            }
        }
        var bytes = HTTP2RequestBytes()
        #expect(throws: HTTP2RequestBytes.Malformed.self) { try bytes.head(headers, endsStream: false) }
    }

    @Test func whateverComesIsOneRequestOrNone() throws {
        var generator = SeededGenerator(seed: 11)
        let parts = [
            "a", "/", " ", "\r\n", "\n", ":", "\u{0}", "x", "GET", "HTTP/1.1", "chunked", "5", "%0d", "\t", "host",
            "content-length", "transfer-encoding", "cookie", ";", ",",
        ]
        func text() -> String {
            (0..<Int.random(in: 0..<4, using: &generator)).map { _ in parts.randomElement(using: &generator) ?? "" }
                .joined()
        }
        for _ in 0..<1_000 {
            var headers = HPACKHeaders([
                (":method", Bool.random(using: &generator) ? "POST" : text()), (":scheme", "https"),
                (":path", "/" + text()), (":authority", "a"),
            ])
            for _ in 0..<Int.random(in: 0..<4, using: &generator) { headers.add(name: text(), value: text()) }
            var made = HTTP2RequestBytes()
            guard var bytes = try? made.head(headers, endsStream: false) else { continue }
            bytes.writeImmutableBuffer(made.data(ByteBuffer(string: "smuggled"), endsStream: true))
            var parser = RequestHeadParser()
            // Either the parser refuses it, or it is exactly one request with exactly this body.
            guard let head = try? parser.parse(&bytes) else { continue }
            guard try head.framing() == .chunked else { continue }
            var body = BodyDecoder(framing: .chunked)
            #expect(try body.next(&bytes) == .bytes(ByteBuffer(string: "smuggled")))
            #expect(try body.next(&bytes) == .end(trailers: HeaderFields()))
            #expect(bytes.readableBytes == 0)
        }
    }
}
