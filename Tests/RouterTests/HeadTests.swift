import HTTP1
import NIOCore
import Testing

@testable import Router

/// What the proxy makes of heads, without a socket.
@Suite struct HeadTests {
    private static let routes = RouteTable(gatewayPath: "/channels/")

    private func head(_ lines: String...) throws -> RequestHead {
        var buffer = ByteBuffer(string: lines.joined(separator: "\r\n") + "\r\n\r\n")
        var parser = RequestHeadParser()
        return try #require(try parser.parse(&buffer))
    }

    private func forwarded(_ head: RequestHead, peer: String = "192.0.2.7", trusted: [String] = []) throws -> [String] {
        let plan = try RequestPlan(head, routes: Self.routes)
        let address = try #require(IPAddress(peer))
        let identity = BrowserIdentity(peer: .ip(address), trustedProxies: try TrustedProxies(trusted))
        var out = ByteBuffer()
        ForwardedHead.write(
            head, plan: plan, identity: identity, name: identity.requestID(head, made: RequestID(high: 1, low: 0xabc)),
            hostOfUpstream: "upstream", to: &out)
        return String(buffer: out).split(separator: "\r\n").map(String.init)
    }

    private let ours = [
        "X-Forwarded-For: 192.0.2.7", "X-Real-IP: 192.0.2.7", "X-Forwarded-Proto: http", "X-Forwarded-Host: a",
        "Forwarded: for=192.0.2.7;proto=http;host=a", "X-Request-ID: 00000000000000010000000000000abc",
    ]

    @Test func whatIsNotTheProxysBusinessGoesByteForByte() throws {
        let head = try self.head(
            "GET /x?y=%20 HTTP/1.1", "hOsT: a", "Accept: */*", "cookie: a=b;  c=d", "X-Empty:", "X-High: \u{e9}")
        #expect(
            try self.forwarded(head) == [
                "GET /x?y=%20 HTTP/1.1", "hOsT: a", "Accept: */*", "cookie: a=b;  c=d", "X-Empty:", "X-High: \u{e9}",
            ] + self.ours)
    }

    @Test func fieldsOfTheConnectionStayHere() throws {
        let head = try self.head(
            "GET / HTTP/1.1", "Host: a", "Connection: close, X-Secret, Cookie", "Keep-Alive: 5", "Proxy-Connection: x",
            "TE: gzip", "Upgrade: h2c", "X-Secret: 1", "Cookie: 2", "Proxy: http://evil", "Accept: b")
        #expect(try self.forwarded(head) == ["GET / HTTP/1.1", "Host: a", "Accept: b"] + self.ours)
    }

    @Test func noBrowserTakesAwayWhatFramesARequest() throws {
        let head = try self.head(
            "POST / HTTP/1.1", "Host: a", "Connection: Content-Length, Host, X-Forwarded-For", "Content-Length: 3")
        #expect(try self.forwarded(head) == ["POST / HTTP/1.1", "Host: a", "Content-Length: 3"] + self.ours)
    }

    @Test func aStrangersWordsAboutItselfAreReplaced() throws {
        let head = try self.head(
            "GET / HTTP/1.1", "Host: a", "X-Forwarded-For: 1.1.1.1", "x_forwarded_for: 2.2.2.2", "X-REAL-IP: 3.3.3.3",
            "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "X_Forwarded_Host: evil", "Forwarded: for=4.4.4.4",
            "X-Forwarded-Prefix: /x", "X-Request-ID: mine")
        #expect(try self.forwarded(head) == ["GET / HTTP/1.1", "Host: a"] + self.ours)
    }

    @Test func aTrustedProxysWordsArePassedOnAndAddedTo() throws {
        let head = try self.head(
            "GET / HTTP/1.1", "Host: a", "X-Forwarded-For: 203.0.113.5, 10.0.0.9", "X-Forwarded-Proto: https",
            "X-Forwarded-Host: site.example", "X-Forwarded-Prefix: /x", "Forwarded: for=203.0.113.5;proto=https",
            "X-Request-ID: abc-1")
        #expect(
            try self.forwarded(head, peer: "10.0.0.1", trusted: ["10.0.0.0/8"]) == [
                "GET / HTTP/1.1", "Host: a", "X-Forwarded-Prefix: /x",
                "X-Forwarded-For: 203.0.113.5, 10.0.0.9, 10.0.0.1", "X-Real-IP: 203.0.113.5",
                "X-Forwarded-Proto: https", "X-Forwarded-Host: site.example",
                "Forwarded: for=203.0.113.5;proto=https, for=10.0.0.1;proto=http;host=a", "X-Request-ID: abc-1",
            ])
    }

    @Test(arguments: ["", "a b", "<script>", String(repeating: "x", count: 129)])
    func anOddRequestIDIsReplacedEvenFromATrustedProxy(_ id: String) throws {
        let head = try self.head("GET / HTTP/1.1", "Host: a", "X-Request-ID: \(id)")
        let last = try self.forwarded(head, peer: "10.0.0.1", trusted: ["10.0.0.1"]).last
        #expect(last == "X-Request-ID: 00000000000000010000000000000abc")
    }

    @Test func forwardedQuotesWhatIsNoToken() throws {
        let head = try self.head("GET / HTTP/1.1", "Host: a.example:8000")
        #expect(
            try self.forwarded(head, peer: "2001:db8::7").contains(
                "Forwarded: for=\"[2001:db8::7]\";proto=http;host=\"a.example:8000\""))
    }

    @Test(arguments: [
        "X-SSL-Client-S-DN", "x_ssl_client_verify", "Client-Cert", "client_cert_chain", "X-SSL-CLIENT-CN",
    ])
    func nobodyMakesUpACertificate(_ name: String) throws {
        let head = try self.head("GET / HTTP/1.1", "Host: a", "\(name): CN=admin", "Client: b")
        #expect(try self.forwarded(head) == ["GET / HTTP/1.1", "Host: a", "Client: b"] + self.ours)
        #expect(try self.forwarded(head, peer: "10.0.0.1", trusted: ["10.0.0.1"]).contains("\(name): CN=admin"))
    }

    @Test func anOPTIONSIsCountedDownOnItsWay() throws {
        let head = try self.head("OPTIONS * HTTP/1.1", "Host: a", "Max-Forwards: 3")
        #expect(try self.forwarded(head)[..<3] == ["OPTIONS * HTTP/1.1", "Host: a", "Max-Forwards: 2"])
        let other = try self.head("GET / HTTP/1.1", "Host: a", "Max-Forwards: 3")
        #expect(try self.forwarded(other)[..<3] == ["GET / HTTP/1.1", "Host: a", "Max-Forwards: 3"])
    }

    @Test func anHTTP10RequestGetsAHostAndKeepsNoExpectation() throws {
        let head = try self.head("POST / HTTP/1.0", "Expect: 100-continue", "Content-Length: 1")
        #expect(
            try self.forwarded(head)[..<3] == ["POST / HTTP/1.1", "Host: upstream", "Content-Length: 1"])
    }

    @Test func aWebSocketHandshakeStaysOne() throws {
        let head = try self.head(
            "GET /socket HTTP/1.1", "Host: a", "Connection: keep-alive, Upgrade", "Upgrade: WebSocket",
            "Sec-WebSocket-Key: x")
        let lines = try self.forwarded(head)
        #expect(lines.contains("Connection: Upgrade") && lines.contains("Upgrade: websocket"))
        #expect(lines.contains("Sec-WebSocket-Key: x"))
        #expect(try RequestPlan(head, routes: Self.routes).wantsWebSocket)
    }

    @Test(arguments: [
        ("GET /socket HTTP/1.1", "Upgrade: h2c"), ("POST /socket HTTP/1.1", "Upgrade: websocket"),
        ("GET /socket HTTP/1.0", "Upgrade: websocket"),
    ])
    func anyOtherUpgradeIsAnOrdinaryRequest(_ line: String, _ upgrade: String) throws {
        let head = try self.head(line, "Host: a", "Connection: Upgrade, HTTP2-Settings", upgrade, "HTTP2-Settings: x")
        let lines = try self.forwarded(head)
        #expect(
            !lines.contains {
                $0.lowercased().hasPrefix("upgrade") || $0.hasPrefix("HTTP2") || $0.hasPrefix("Connection")
            })
    }

    @Test(arguments: [
        ("/channels/", PoolNumber.gateways), ("/channels/a?b", PoolNumber.gateways), ("/channels", PoolNumber.workers),
        ("/", PoolNumber.workers), ("/a/channels/", PoolNumber.workers), ("http://a/channels/x", PoolNumber.gateways),
        ("http://a", PoolNumber.workers),
    ])
    func thePathDecides(_ target: String, _ pool: Int) throws {
        let plan = try RequestPlan(self.head("GET \(target) HTTP/1.1", "Host: a"), routes: Self.routes)
        #expect(plan.route.target == .pool(pool))
    }

    @Test(arguments: [("CONNECT a:1 HTTP/1.1", 405), ("TRACE / HTTP/1.1", 405)])
    func someMethodsAreNotAnswered(_ line: String, _ status: Int) throws {
        let head = try self.head(line, "Host: a")
        let refusal = #expect(throws: RequestPlan.Refusal.self) { try RequestPlan(head, routes: Self.routes) }
        #expect(refusal?.status == status)
    }

    @Test func requestIDsAreHexadecimalAndDifferent() {
        var ids = RequestIDs(seed: 0xfedc_ba98_7654_3210, start: 0)
        let some = (0..<1_000).map { _ in ids.next().description }
        #expect(Set(some).count == 1_000)
        #expect(some.allSatisfy { $0.hasPrefix("fedcba9876543210") && $0.count == 32 })
        #expect(RequestID(high: 0x0123_4567_89ab_cdef, low: 0).description == "0123456789abcdef0000000000000000")
    }

    @Test func aPageEscapesWhatItShows() {
        let page = ShortPage.bytes(
            status: 503, reason: "<b>&\"", requestID: "x<y", keepsAlive: false, date: "now")
        let text = String(buffer: page)
        #expect(text.contains("<p>&lt;b&gt;&amp;&quot;</p>") && text.contains("x&lt;y"))
        #expect(text.contains("Retry-After: 5\r\n") && text.contains("Connection: close\r\n"))
    }
}
