import Foundation
import NIOCore
import TestSupport
import Testing

@testable import Router
@testable import Upstream

@Suite(.timeLimit(.minutes(1))) struct ProxyTests {
    @Test func aRequestGoesToTheWorkerAndItsAnswerComesBack() async throws {
        let seen = Mailbox<Message>()
        let upstream = try FakeUpstream.answering { request in
            seen.put(request)
            return ok("hello", "X-From: worker\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n")
        }
        try await withRouter(upstream) { router throws in
            let answer = try router.get("/a%20path?with=query", "X-Odd:  two  spaces \r\n")
            #expect(answer.firstLine == "HTTP/1.1 200 OK")
            #expect(answer.body == "hello")
            #expect(answer["x-from"] == "worker")
            #expect(answer["keep-alive"] == nil)
            let request = try seen.take()
            #expect(request.firstLine == "GET /a%20path?with=query HTTP/1.1")
            #expect(request["host"] == "example.org")
            #expect(request["x-odd"] == "two  spaces")
            #expect(request["connection"] == nil)
            #expect(request["x-forwarded-for"] == "127.0.0.1")
            #expect(request["x-real-ip"] == "127.0.0.1")
            #expect(request["x-forwarded-proto"] == "http")
            #expect(request["x-forwarded-host"] == "example.org")
            #expect(request["x-request-id"]?.count == 32)
        }
    }

    @Test func bothSidesAreKeptAlive() async throws {
        let upstream = try FakeUpstream.answering { ok($0.firstLine) }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            for number in 0..<20 {
                try browser.send("GET /\(number) HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(try browser.readMessage().body == "GET /\(number) HTTP/1.1")
            }
            #expect(upstream.connections == 1)
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        let upstream = try FakeUpstream.answering { ok($0.firstLine) }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            let requests = (0..<50).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }
            try browser.send(requests.joined())
            for number in 0..<50 { #expect(try browser.readMessage().body == "GET /\(number) HTTP/1.1") }
        }
    }

    @Test func aPostFollowedByAnotherRequestInOneWrite() async throws {
        let upstream = try FakeUpstream.answering { ok("\($0.firstLine) \($0.body)") }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send(
                "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345"
                    + "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
                    + "GET /c HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage().body == "POST /a HTTP/1.1 12345")
            #expect(try browser.readMessage().body == "POST /b HTTP/1.1 abcde")
            #expect(try browser.readMessage().body == "GET /c HTTP/1.1 ")
        }
    }

    @Test func aChunkIsAtTheBrowserBeforeTheNextIsMade() async throws {
        let received = Mailbox<Int>()
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            try socket.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for number in 0..<10 {
                try socket.send("1\r\n\(number)\r\n")
                // The application goes on only when the browser has it.
                #expect(try received.take() == number)
            }
            try socket.send("0\r\nX-Sum: 45\r\n\r\n")
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try browser.read(until: "\r\n\r\n")
            for number in 0..<10 {
                #expect(try browser.readText(6) == "1\r\n\(number)\r\n")
                received.put(number)
            }
            #expect(try browser.read(until: "\r\n\r\n") == "0\r\nX-Sum: 45\r\n\r\n")
        }
    }

    @Test func aBodyIsStreamedToTheWorkerWhileItIsSent() async throws {
        let received = Mailbox<String>()
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.read(until: "\r\n\r\n")
            for _ in 0..<3 { received.put(try socket.readText(4)) }
            try socket.send(ok("done"))
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n")
            for piece in ["abcd", "efgh", "ijkl"] {
                try browser.send(piece)
                #expect(try received.take() == piece)
            }
            #expect(try browser.readMessage().body == "done")
        }
    }

    @Test(arguments: ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"])
    func anAnswerToHEADHasNoBody(_ framing: String) async throws {
        let upstream = try FakeUpstream { socket, _ in
            while true {
                let request = try socket.readMessage()
                let isHead = request.firstLine.hasPrefix("HEAD")
                try socket.send(isHead ? "HTTP/1.1 200 OK\r\n\(framing)\r\n" : ok("next"))
            }
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage(hasBody: false).status == 200)
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage().body == "next")
            #expect(upstream.connections == 1)
        }
    }

    @Test(arguments: [204, 304]) func answersThatHaveNoBodyKeepTheConnection(_ status: Int) async throws {
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            try socket.send("HTTP/1.1 \(status) Odd Words\r\nContent-Length: 7\r\nETag: \"x\"\r\n\r\n")
            _ = try socket.readMessage()
            try socket.send(ok("next"))
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            let answer = try browser.readMessage(hasBody: false)
            #expect(answer.firstLine == "HTTP/1.1 \(status) Odd Words")
            #expect(answer["content-length"] == (status == 204 ? nil : "7"))
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage().body == "next")
        }
    }

    @Test func interimAnswersArePassedOnAndTheBodyWaitsForThem() async throws {
        let upstream = try FakeUpstream { socket, _ in
            let head = Message(head: try socket.read(until: "\r\n\r\n"))
            #expect(head["expect"] == "100-continue")
            try socket.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
            try socket.send(ok(try socket.readText(3)))
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            #expect(try browser.read(until: "\r\n\r\n") == "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
            #expect(try browser.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try browser.send("abc")
            #expect(try browser.readMessage().body == "abc")
        }
    }

    @Test func aRefusalBeforeTheBodyReachesTheBrowserWhole() async throws {
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.read(until: "\r\n\r\n")
            try socket.send("HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
            _ = browser.sendAsMuchAsFits([UInt8](repeating: 1, count: 65_536), atMost: 500_000)
            let answer = try browser.readMessage()
            #expect(answer.status == 413)
            #expect(answer.body == "no")
            #expect(answer["connection"] == "close")
            #expect(browser.ends())
        }
    }

    @Test func anAnswerUntilTheEndIsSentInChunks() async throws {
        let upstream = try FakeUpstream { socket, _ in
            _ = try socket.readMessage()
            try socket.send("HTTP/1.0 200 OK\r\n\r\nuntil the end")
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            let answer = try browser.readMessage()
            #expect(answer["transfer-encoding"] == "chunked")
            #expect(answer.body == "until the end")
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try browser.readMessage().body == "until the end")
        }
    }

    @Test func anHTTP10BrowserGetsNoChunks() async throws {
        let upstream = try FakeUpstream { socket, _ in
            let request = try socket.readMessage()
            #expect(request.firstLine == "GET / HTTP/1.1")
            #expect(request["host"] != nil)
            try socket.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            let answer = try browser.readToEnd()
            #expect(answer.hasSuffix("\r\n\r\nabcdef"))
            #expect(!answer.lowercased().contains("transfer-encoding"))
            #expect(answer.contains("Connection: close"))
        }
    }

    @Test func anHTTP10BrowserMayKeepTheConnection() async throws {
        let upstream = try FakeUpstream.answering { _ in ok("x") }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            for _ in 0..<2 {
                try browser.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                let answer = try browser.readMessage()
                #expect(answer["connection"] == "keep-alive")
            }
        }
    }

    @Test func anAbsoluteTargetIsTakenApart() async throws {
        let upstream = try FakeUpstream.answering {
            ok("\($0.firstLine)|\($0["host"] ?? "")|\($0.values("host").count)")
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send("GET http://real.example:81?q HTTP/1.1\r\nHost: other\r\n\r\n")
            #expect(try browser.readMessage().body == "GET /?q HTTP/1.1|real.example:81|1")
        }
    }

    @Test func aBrowserThatClosesItsHalfIsAnswered() async throws {
        let upstream = try FakeUpstream.answering { _ in ok("answer") }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            browser.endOutput()
            #expect(try browser.readToEnd().hasSuffix("\r\n\r\nanswer"))
        }
    }

    @Test func largeBodiesPassBothWays() async throws {
        let upstream = try FakeUpstream { socket, _ in
            let request = try socket.readMessage()
            try socket.send(
                Array("HTTP/1.1 200 OK\r\nContent-Length: \(request.bytes.count)\r\n\r\n".utf8) + request.bytes)
        }
        try await withRouter(upstream) { router throws in
            let browser = try router.connect()
            let body = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let sender = Thread {
                try? browser.send(
                    Array("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body)
            }
            sender.start()
            #expect(try browser.readMessage().bytes == body)
        }
    }

    @Test func requestsOverAUnixSocketUpstream() async throws {
        // The same router as upstream of a second one, through a Unix socket.
        let upstream = try FakeUpstream.answering { ok($0["x-forwarded-for"] ?? "none") }
        let folder = try TestFolder()
        defer { folder.remove() }
        let path = folder.file("router.sock")
        var inner = configuration([upstream.address])
        inner.listen = [.tcp(host: "127.0.0.1", port: 0), .unix(path: path)]
        // A Unix socket has no address of its own, and is not trusted here.
        let outer = Mailbox<Result<String, any Error>>()
        try await withRouter(inner) { _ in
            Task {
                do {
                    try await withRouter(configuration([.unix(path: path)])) { router throws in
                        outer.put(.success(try router.get("/").body))
                    }
                } catch { outer.put(.failure(error)) }
            }
            let body = try outer.take().get()
            #expect(body == "none")
        }
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}
