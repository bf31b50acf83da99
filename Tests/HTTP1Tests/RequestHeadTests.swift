import HTTP1
import NIOCore
import Testing

@Suite struct RequestHeadTests {
    @Test(arguments: [
        ("/", "/", ""), ("/a/b?c=d", "/a/b", "c=d"), ("/a?", "/a", ""), ("/a?b?c", "/a", "b?c"), ("//a", "//a", ""),
        ("http://h/a?b", "/a", "b"), ("http://h", "/", ""), ("http://h?b", "/", "b"), ("HTTPS://h:1/a", "/a", ""),
        ("*", "*", ""), ("/http://h/a", "/http://h/a", ""), ("/?u=http://h/a", "/", "u=http://h/a"),
    ])
    func aTargetHasItsParts(_ target: String, _ path: String, _ query: String) {
        let head = RequestHead(method: "GET", target: target)
        #expect(head.path == path && head.query == query)
    }

    @Test func theOriginFormIsWhatAnUpstreamIsAskedFor() {
        func form(_ target: String) -> String { String(RequestHead(method: "GET", target: target).originForm) }
        #expect(form("http://h/a?b") == "/a?b")
        #expect(form("http://h?b") == "/?b")
        #expect(form("/a?b=http://h/c") == "/a?b=http://h/c")
        #expect(form("*") == "*")
    }

    @Test func anAbsoluteTargetCountsInsteadOfHost() {
        let fields = HeaderFields([("Host", "b")])
        #expect(RequestHead(method: "GET", target: "http://a:1/", fields: fields).authority == "a:1")
        #expect(RequestHead(method: "GET", target: "/", fields: fields).authority == "b")
        #expect(RequestHead(method: "CONNECT", target: "a:1", fields: fields).authority == "a:1")
        #expect(RequestHead(method: "GET", target: "/").authority == nil)
    }

    @Test func aPathIsDecodedOnceAndWhole() throws {
        #expect(try RequestHead(method: "GET", target: "/chat/%C3%BC%20x?%zz").decodedPath() == "/chat/ü x")
        #expect(throws: HTTP1Error.self) { try RequestHead(method: "GET", target: "/%00").decodedPath() }
        #expect(throws: HTTP1Error.self) { try RequestHead(method: "GET", target: "/%ff").decodedPath() }
    }

    @Test(arguments: [
        (HTTPVersion.http11, nil, true), (.http11, "close", false), (.http11, "x, Close", false),
        (.http11, "keep-alive", true), (.http10, nil, false), (.http10, "keep-alive", true),
        (.http10, "Keep-Alive, x", true),
        (.http10, "keep-alive, close", false), (.http11, "upgrade", true),
    ])
    func aConnectionStaysOrNot(_ version: HTTPVersion, _ connection: String?, _ stays: Bool) {
        var fields = HeaderFields()
        if let connection { fields.append("Connection", connection) }
        #expect(RequestHead(method: "GET", target: "/", version: version, fields: fields).keepAlive == stays)
        #expect(ResponseHead(version: version, status: 200, fields: fields).keepAlive == stays)
    }

    @Test func aRequestWithoutLengthsHasNoBody() throws {
        for method in ["GET", "POST", "PUT"] {
            #expect(try RequestHead(method: method, target: "/").framing() == .none)
        }
    }

    // MARK: Limits

    private let limits = HeadLimits(headBytes: 200, fields: 3, targetBytes: 20)

    private func status(of text: String) -> Int? {
        var buffer = ByteBuffer(string: text)
        var parser = RequestHeadParser(limits: self.limits)
        do {
            return try parser.parse(&buffer) == nil ? 0 : nil
        } catch {
            return error.status
        }
    }

    @Test func boundsHoldToTheByte() {
        func target(_ length: Int) -> String { "/" + String(repeating: "a", count: length - 1) }
        #expect(self.status(of: "GET \(target(20)) HTTP/1.1\r\nHost: a\r\n\r\n") == nil)
        #expect(self.status(of: "GET \(target(21)) HTTP/1.1\r\nHost: a\r\n\r\n") == 414)
        // At once, not when the line ends.
        #expect(self.status(of: "GET \(target(21))") == 414)
        #expect(self.status(of: "GET \(target(20))") == 0)

        let front = "GET / HTTP/1.1\r\nHost: a\r\n"
        #expect(self.status(of: front + "A:\r\nB:\r\n\r\n") == nil)
        #expect(self.status(of: front + "A:\r\nB:\r\nC:\r\n\r\n") == 431)

        func head(_ length: Int) -> String {
            front + "X: " + String(repeating: "a", count: length - front.utf8.count - 7) + "\r\n\r\n"
        }
        #expect(head(200).utf8.count == 200)
        #expect(self.status(of: head(200)) == nil)
        #expect(self.status(of: head(201)) == 431)
        #expect(self.status(of: front + "X: " + String(repeating: "a", count: 200)) == 431)
    }

    @Test func nothingIsConsumedBeforeTheHeadIsThere() throws {
        let text = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
        var parser = RequestHeadParser()
        var buffer = ByteBuffer()
        for (index, byte) in text.utf8.enumerated() {
            buffer.writeInteger(byte)
            let head = try parser.parse(&buffer)
            #expect((head != nil) == (index == text.utf8.count - 1))
            #expect(buffer.readableBytes == (head == nil ? index + 1 : 0))
        }
    }

    @Test func aParserIsUsedForRequestAfterRequest() throws {
        var parser = RequestHeadParser()
        var buffer = ByteBuffer(
            string:
                "\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /b HTTP/1.0\r\n\r\nGET /c HTTP/1.1\r\nHost: c\r\n\r\n")
        var targets: [String] = []
        while let head = try parser.parse(&buffer) { targets.append(head.target) }
        #expect(targets == ["/a", "/b", "/c"] && buffer.readableBytes == 0)
    }

    /// The head must not keep a large receive buffer's meaning, only its bytes: writing on does not change it.
    @Test func aHeadStaysWhenItsBufferGoesOn() throws {
        var parser = RequestHeadParser()
        var buffer = ByteBuffer(string: "GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n")
        let head = try #require(try parser.parse(&buffer))
        buffer.clear()
        buffer.writeRepeatingByte(UInt8(ascii: "!"), count: 64)
        #expect(head.fields["x"] == "y" && head.target == "/a")
    }
}
