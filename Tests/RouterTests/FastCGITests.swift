import Foundation
import HTTP1
import NIOCore
import TestSupport
import Testing

@testable import Router
@testable import Upstream

/// FastCGI without a socket: records, heads and parameters.
@Suite struct FastCGIRecordTests {
    /// Records as an application sends them: type and content.
    static func records(_ parts: [(FastCGI.RecordType, String)], padding: Int = 0, id: UInt16 = 1) -> ByteBuffer {
        var buffer = ByteBuffer()
        for (type, content) in parts {
            let length = UInt16(content.utf8.count)
            buffer.writeMultipleIntegers(UInt8(1), type.rawValue, id, length, UInt8(padding), UInt8(0))
            buffer.writeString(content)
            buffer.writeRepeatingByte(7, count: padding)
        }
        return buffer
    }

    static let end = "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}"

    /// What an answer comes to, whatever its records were: status, the type of its content, body, errors.
    private func read(
        _ bytes: ByteBuffer, method: String = "GET", cut: Int? = nil
    ) throws -> (status: Int, framing: BodyFraming?, body: String, errors: String, isComplete: Bool) {
        var answer = FastCGIAnswer(method: method, limits: HeadLimits())
        var (waiting, rest) = (ByteBuffer(), bytes)
        var result = (0, BodyFraming?.none, "", "", false)
        while rest.readableBytes > 0 {
            var piece = rest.readSlice(length: min(cut ?? rest.readableBytes, rest.readableBytes)) ?? ByteBuffer()
            waiting.writeBuffer(&piece)
            while let part = try answer.next(&waiting) {
                switch part {
                case .head(let head, let framing): (result.0, result.1) = (head.status, framing)
                case .body(let bytes): result.2 += String(buffer: bytes)
                case .error(let bytes): result.3 += String(buffer: bytes)
                case .end: result.4 = true
                }
            }
        }
        return result
    }

    @Test(arguments: [nil, 1, 2, 3, 7, 64], [0, 1, 255])
    func anAnswerIsTheSameHoweverItsBytesAreCut(_ cut: Int?, _ padding: Int) throws {
        let bytes = Self.records(
            [
                (.stderr, "PHP Warning: one\n"), (.stdout, "Status: 404 Gone fishing\nX-A: b\r"),
                (.stdout, "\nContent-"),
                (.stdout, "Type: text/plain\n\nhel"), (.stderr, "two"), (.stdout, "lo"), (.stdout, ""),
                (.endRequest, Self.end),
            ], padding: padding)
        let answer = try self.read(bytes, cut: cut)
        #expect(answer.status == 404 && answer.framing == .chunked && answer.body == "hello")
        #expect(answer.errors == "PHP Warning: one\ntwo" && answer.isComplete)
    }

    @Test func aLengthIsKeptTo() throws {
        func answer(_ body: String) -> ByteBuffer {
            Self.records([(.stdout, "Content-Length: 5\r\n\r\n\(body)"), (.endRequest, Self.end)])
        }
        #expect(try self.read(answer("hello")).framing == .length(5))
        #expect(throws: HTTP1Error.self) { try self.read(answer("hell")) }
        #expect(throws: HTTP1Error.self) { try self.read(answer("hello!")) }
        // To HEAD there is no body, whatever the application writes.
        let head = try self.read(answer("hello!"), method: "HEAD")
        #expect(head.framing == BodyFraming.none && head.body.isEmpty && head.isComplete)
    }

    @Test(arguments: [
        ("Location: /x\n\n", 302), ("Status: 200 OK\nLocation: /x\n\n", 200), ("Status: 304\n\n", 304), ("\n", 200),
        ("X: y\r\n\r\n", 200),
    ])
    func theStatusIsTheApplications(_ head: String, _ status: Int) throws {
        #expect(try self.read(Self.records([(.stdout, head), (.endRequest, Self.end)])).status == status)
    }

    @Test(arguments: [
        "Status: 99\n\n", "Status: x\n\n", "Status: 101 Switching\n\n", "Transfer-Encoding: chunked\n\n",
        "no colon\n\n",
        "X: a\0b\n\n", "Content-Length: 5\nContent-Length: 6\n\n", "X : y\n\n", " folded\n\n",
    ])
    func aHeadThatIsNoneIsTheUpstreamsFault(_ head: String) {
        let error = #expect(throws: HTTP1Error.self) {
            try self.read(Self.records([(.stdout, head), (.endRequest, Self.end)]))
        }
        #expect(error?.status == 502)
    }

    @Test func whatIsNoFastCGIIsRefusedAndOthersRecordsArePassedOver() throws {
        #expect(throws: HTTP1Error.self) { try self.read(ByteBuffer(string: "HTTP/1.1 200 OK\r\n")) }
        #expect(throws: HTTP1Error.self) { try self.read(Self.records([(.endRequest, "1234567")])) }
        #expect(throws: HTTP1Error.self) { try self.read(Self.records([(.endRequest, Self.end)])) }
        var bytes = Self.records([(.stdout, "Status: 500\n\nevil"), (.endRequest, Self.end)], id: 2)
        bytes.writeImmutableBuffer(Self.records([(.stdout, "Status: 201\n\n"), (.endRequest, Self.end)]))
        #expect(try self.read(bytes).status == 201)
        var endless = ByteBuffer()
        for _ in 0..<100 {
            endless.writeImmutableBuffer(Self.records([(.stdout, String(repeating: "x", count: 1_000))]))
        }
        #expect(throws: HTTP1Error.self) { try self.read(endless) }
    }

    @Test func noBytesMakeTheReaderTrapOrLoop() throws {
        let seeds = [
            Self.records([(.stdout, "Status: 200\n\nhello"), (.stderr, "x"), (.endRequest, Self.end)], padding: 3),
            Self.records([(.stdout, "Content-Length: 5\r\n\r\n"), (.stdout, "hello"), (.endRequest, Self.end)]),
        ].map { Array($0.readableBytesView) }
        var generator = SeededGenerator(seed: 5)
        for round in 0..<4_000 {
            var bytes = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(
                    in: .min ... .max, using: &generator)
            }
            let whole = try? self.read(ByteBuffer(bytes: bytes))
            let cut = try? self.read(ByteBuffer(bytes: bytes), cut: 3)
            #expect(whole?.status == cut?.status && whole?.body == cut?.body && whole?.isComplete == cut?.isComplete)
        }
    }

    // MARK: Requests

    /// The parameters of a request, read back.
    private func parameters(
        _ target: String, _ fields: [(String, String)] = [], method: String = "GET", length: Int = 0,
        facts: FastCGIFacts = FastCGIFacts(), options: FastCGIOptions = FastCGIOptions()
    ) throws -> [String: String] {
        var buffer = ByteBuffer()
        try FastCGIRequest.write(
            RequestHead(method: method, target: target, fields: HeaderFields([("Host", "example.org:8000")] + fields)),
            facts: facts, options: options, bodyLength: length, to: &buffer)
        return try FakeFastCGI.readParameters(&buffer)
    }

    @Test func anApplicationIsToldWhatCGISays() throws {
        var facts = FastCGIFacts()
        facts.remoteAddress = "192.0.2.7"
        facts.isSecure = true
        let seen = try self.parameters(
            "/a%20b/./c?x=%20y",
            [
                ("Content-Type", "text/plain"), ("Cookie", "a=1"), ("cookie", "b=2"), ("X-A", "1"),
                ("x-a", "2"), ("X_A", "evil"), ("Proxy", "evil"), ("X.Y", "z"), ("Expect", "100-continue"),
            ],
            method: "POST", length: 300, facts: facts)
        #expect(seen["SCRIPT_NAME"] == "" && seen["PATH_INFO"] == "/a b/c" && seen["QUERY_STRING"] == "x=%20y")
        #expect(seen["REQUEST_URI"] == "/a%20b/./c?x=%20y" && seen["REQUEST_METHOD"] == "POST")
        #expect(seen["SERVER_NAME"] == "example.org" && seen["SERVER_PORT"] == "8000" && seen["HTTPS"] == "on")
        #expect(seen["CONTENT_LENGTH"] == "300" && seen["CONTENT_TYPE"] == "text/plain")
        #expect(seen["HTTP_COOKIE"] == "a=1; b=2" && seen["HTTP_X_A"] == "1, 2" && seen["HTTP_PROXY"] == nil)
        #expect(seen["HTTP_HOST"] == "example.org:8000" && seen["REMOTE_ADDR"] == "192.0.2.7")
        #expect(seen["HTTP_EXPECT"] == nil && seen.keys.allSatisfy { !$0.contains(".") })
        #expect(seen["GATEWAY_INTERFACE"] == "CGI/1.1" && seen["SERVER_PROTOCOL"] == "HTTP/1.1")
    }

    @Test(arguments: [
        ("/", "/index.php", "", "/srv/index.php"), ("/a/", "/a/index.php", "", "/srv/a/index.php"),
        ("/a.php", "/a.php", "", "/srv/a.php"), ("/a.php/b/c.php", "/a.php", "/b/c.php", "/srv/a.php"),
        ("/x/../../../etc/a.php", "/etc/a.php", "", "/srv/etc/a.php"), ("/%2e%2e/a.php", "/a.php", "", "/srv/a.php"),
        ("/a.phpx", "/a.phpx", "", "/srv/a.phpx"), ("/.php", "/.php", "", "/srv/.php"),
    ])
    func scriptsAreFoundBelowTheRoot(_ target: String, _ name: String, _ info: String, _ file: String) throws {
        var options = FastCGIOptions()
        options.root = "/srv/"
        let seen = try self.parameters(target, options: options)
        #expect(seen["SCRIPT_NAME"] == name && seen["PATH_INFO"] == info && seen["SCRIPT_FILENAME"] == file)
        #expect(seen["DOCUMENT_ROOT"] == "/srv")
    }

    @Test func aFrontScriptAnswersForPathsWithoutOne() throws {
        var options = FastCGIOptions()
        options.root = "/srv"
        options.script = "/index.php"
        options.parameters = ["APP_ENV": "test", "SERVER_SOFTWARE": "mine"]
        let seen = try self.parameters("/pretty/url?a", options: options)
        #expect(seen["SCRIPT_FILENAME"] == "/srv/index.php" && seen["REQUEST_URI"] == "/pretty/url?a")
        #expect(seen["APP_ENV"] == "test" && seen["SERVER_SOFTWARE"] == "mine")
    }

    @Test func anApplicationBelowAPrefixIsToldOfIt() throws {
        var options = FastCGIOptions()
        options.prefix = "/app"
        for (target, name, info) in [("/app/x", "/app", "/x"), ("/app", "/app", ""), ("/apple", "", "/apple")] {
            let seen = try self.parameters(target, options: options)
            #expect(seen["SCRIPT_NAME"] == name && seen["PATH_INFO"] == info, "\(target)")
        }
        #expect(throws: HTTP1Error.self) { try self.parameters("/a%00.php") }
    }

    @Test func longNamesAndValuesHaveLongLengths() throws {
        let long = String(repeating: "v", count: 70_000)
        let seen = try self.parameters("/", [("X-\(String(repeating: "n", count: 200))", long)])
        #expect(seen["HTTP_X_\(String(repeating: "N", count: 200))"] == long)
    }
}

/// FastCGI over a live router.
@Suite(.timeLimit(.minutes(1))) struct FastCGILiveTests {
    private func settings(_ application: FakeFastCGI) -> RouterConfiguration {
        configuration([.fastCGI(host: "127.0.0.1", port: application.port)])
    }

    @Test func requestsAndAnswersPassOnKeptConnections() async throws {
        let application = try FakeFastCGI { request in
            "Content-Type: text/plain\r\n\r\n\(request.parameters["REQUEST_URI"] ?? "") \(request.body)"
        }
        try await withRouter(self.settings(application)) { router throws in
            let browser = try router.connect()
            for number in 0..<5 {
                try browser.send("GET /\(number) HTTP/1.1\r\nHost: a\r\n\r\n")
                let answer = try browser.readMessage()
                #expect(answer.body == "/\(number) " && answer["transfer-encoding"] == "chunked")
                try browser.send("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
                #expect(try browser.readMessage().body == "/p hello")
            }
            #expect(application.connections == 1)
        }
    }

    @Test func aBodyWithoutALengthGetsOneAndALargeOneIsRefused() async throws {
        let application = try FakeFastCGI { "\r\n\($0.parameters["CONTENT_LENGTH"] ?? "") \($0.body)" }
        try await withRouter(self.settings(application)) { router throws in
            let browser = try router.connect()
            try browser.send(
                "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
            #expect(try browser.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try browser.send("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
            #expect(try browser.readMessage().body == "5 abcde")
            try browser.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
            #expect(try browser.readMessage().body == "0 ")
            try browser.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n")
            try browser.send([UInt8](repeating: 65, count: 0x200000))
            #expect(try browser.readMessage().status == 411)
        }
    }

    @Test func aLargeBodyIsStreamedBothWays() async throws {
        let application = try FakeFastCGI { "Content-Length: \($0.body.utf8.count)\r\n\r\n\($0.body)" }
        try await withRouter(self.settings(application)) { router throws in
            let browser = try router.connect()
            let body = String(repeating: "0123456789", count: 300_000)
            try browser.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            #expect(try browser.readMessage().body == body)
        }
    }

    @Test func aPieceIsAtTheBrowserBeforeTheNextIsMade() async throws {
        let received = Mailbox<Int>()
        let application = try FakeFastCGI(raw: { socket, _ in
            try socket.send(FastCGIRecordTests.records([(.stdout, "X: y\n\n")]))
            for number in 0..<5 {
                try socket.send(FastCGIRecordTests.records([(.stdout, "\(number)")], padding: 5))
                #expect(try received.take() == number)
            }
            try socket.send(FastCGIRecordTests.records([(.endRequest, FastCGIRecordTests.end)]))
        })
        try await withRouter(self.settings(application)) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try browser.read(until: "\r\n\r\n")
            for number in 0..<5 {
                #expect(try browser.readText(6) == "1\r\n\(number)\r\n")
                received.put(number)
            }
            #expect(try browser.read(until: "0\r\n\r\n") == "0\r\n\r\n")
        }
    }

    @Test(arguments: [
        ("", 502), ("garbage, and a lot of it", 502), ("end", 502), ("overloaded", 503), ("head", 502),
        ("error only", 502),
    ])
    func anApplicationThatDoesNotAnswerIsTold(_ way: String, _ status: Int) async throws {
        let application = try FakeFastCGI(raw: { socket, _ in
            switch way {
            case "end": try socket.send(FastCGIRecordTests.records([(.endRequest, FastCGIRecordTests.end)]))
            case "overloaded":
                try socket.send(FastCGIRecordTests.records([(.endRequest, "\0\0\0\0\u{2}\0\0\0")]))
            case "head": try socket.send(FastCGIRecordTests.records([(.stdout, "Status: 2")]))
            case "error only": try socket.send(FastCGIRecordTests.records([(.stderr, "dying")]))
            default: try socket.send(way)
            }
            throw Socket.Failure(description: "done")
        })
        try await withRouter(self.settings(application)) { router throws in
            let browser = try router.connect()
            try browser.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
            #expect(try browser.readMessage().status == status)
        }
    }

    @Test func anAnswerThatStopsEndsTheBrowsersConnection() async throws {
        let application = try FakeFastCGI(raw: { socket, _ in
            try socket.send(FastCGIRecordTests.records([(.stdout, "X: y\n\nhalf")]))
            throw Socket.Failure(description: "done")
        })
        try await withRouter(self.settings(application)) { router throws in
            let browser = try router.connect()
            try browser.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            let all = try browser.readToEnd()
            #expect(all.contains("half") && !all.contains("\r\n0\r\n"))
        }
    }
}
