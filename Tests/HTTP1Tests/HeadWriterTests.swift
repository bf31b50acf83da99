import HTTP1
import NIOCore
import Testing

@Suite struct HeadWriterTests {
    private func written(_ write: (inout ByteBuffer) -> Void) -> String {
        var buffer = ByteBuffer()
        write(&buffer)
        return String(buffer: buffer)
    }

    @Test func headsAreWrittenAsTheyAre() {
        let fields = HeaderFields([("Host", "a"), ("X", ""), ("x", "b")])
        let request = RequestHead(method: "GET", target: "/a?b", fields: fields)
        #expect(self.written { $0.writeRequestHead(request) } == "GET /a?b HTTP/1.1\r\nHost: a\r\nX: \r\nx: b\r\n\r\n")
        let response = ResponseHead(version: .http10, status: 404, fields: HeaderFields([("X", "a")]))
        #expect(self.written { $0.writeResponseHead(response) } == "HTTP/1.1 404 Not Found\r\nX: a\r\n\r\n")
        #expect(self.written { $0.writeResponseHead(ResponseHead(status: 299)) } == "HTTP/1.1 299 \r\n\r\n")
    }

    @Test func whatIsWrittenIsReadAgain() throws {
        let fields = HeaderFields([("Host", "a"), ("X", "ü\t1"), ("Content-Length", "0")])
        var buffer = ByteBuffer()
        let request = RequestHead(method: "POST", target: "/a?b", fields: fields)
        buffer.writeRequestHead(request)
        var requests = RequestHeadParser()
        #expect(try requests.parse(&buffer) == request)
        let response = ResponseHead(status: 200, reason: "", fields: fields)
        buffer.writeResponseHead(response)
        var responses = ResponseHeadParser()
        #expect(try responses.parse(&buffer) == response)
        #expect(buffer.readableBytes == 0)
    }

    @Test func nothingBreaksOutOfAFirstLine() throws {
        let request = RequestHead(
            method: "GET /x HTTP/1.1\r\nA: b\r\n\r\n", target: "/ HTTP/1.1\r\nHost: evil\r\n\r\nü#",
            fields: HeaderFields([("Host", "a")]))
        let text = self.written { $0.writeRequestHead(request) }
        #expect(text.utf8.filter { $0 == 0x0A }.count == 3)
        var buffer = ByteBuffer(string: "GET" + text.drop { $0 != " " })
        var parser = RequestHeadParser()
        let head = try #require(try parser.parse(&buffer))
        #expect(head.fields == request.fields && buffer.readableBytes == 0)
        #expect(try head.decodedPath() == "/ HTTP/1.1\r\nHost: evil\r\n\r\nü#")
        let response = ResponseHead(status: 200, reason: "OK\r\nX: a\r\n\r\n")
        #expect(self.written { $0.writeResponseHead(response) }.utf8.filter { $0 == 0x0A }.count == 2)
    }

    @Test(arguments: [
        (Int.min, "100"), (0, "100"), (99, "100"), (100, "100"), (999, "999"), (1000, "999"), (Int.max, "999"),
    ])
    func aStatusHasThreeDigits(_ status: Int, _ digits: String) {
        let text = self.written { $0.writeStatusLine(ResponseHead(status: status, reason: "")) }
        #expect(text == "HTTP/1.1 \(digits) \r\n")
    }

    @Test func chunksSayHowLongTheyAre() throws {
        for length in [1, 9, 10, 15, 16, 255, 256, 4095, 4096, 65_536] {
            let bytes = ByteBuffer(repeating: UInt8(ascii: "a"), count: length)
            let text = self.written { $0.writeChunk(bytes) }
            #expect(text.hasPrefix(String(length, radix: 16) + "\r\na"))
        }
        for length in [1, 16, 1 << 20, Int(Int32.max), Int.max] {
            #expect(self.written { $0.writeChunkStart(length: length) } == String(length, radix: 16) + "\r\n")
        }
        #expect(self.written { $0.writeChunk(ByteBuffer()) }.isEmpty)
        #expect(self.written { $0.writeLastChunk() } == "0\r\n\r\n")
        let trailers = HeaderFields([("X", "a")])
        #expect(self.written { $0.writeLastChunk(trailers: trailers) } == "0\r\nX: a\r\n\r\n")
    }

    // MARK: What a proxy passes on

    private func parsed(_ fields: String) throws -> HeaderFields {
        var buffer = ByteBuffer(string: "GET / HTTP/1.1\r\n\(fields)\r\n")
        var parser = RequestHeadParser()
        return try #require(try parser.parse(&buffer)).fields
    }

    @Test func fieldsOfOneConnectionAreNotPassedOn() throws {
        let fields = try self.parsed(
            """
            Host: a\r
            X-One:  spaced \r
            Connection: close, X-Private , keep-alive\r
            KEEP-ALIVE: 5\r
            TE: trailers\r
            Trailer: X\r
            Upgrade: websocket\r
            Proxy-Connection: a\r
            Proxy-Authorization: b\r
            x-private: secret\r
            X-Forwarded-For: lie\r
            Cookie: a=b\r
            Transfer-Encoding: chunked\r
            X-One: \ttwo\r
            x-Excluded: c\r

            """)
        let text = self.written { $0.writeFields(of: fields, excluding: ["x-forwarded-for", "x-excluded"]) }
        #expect(text == "Host: a\r\nX-One:  spaced\r\nCookie: a=b\r\nX-One: \ttwo\r\n")
        let known = self.written { $0.writeFields(of: fields, excluding: [.xForwardedFor, .host]) }
        #expect(known == "X-One:  spaced\r\nCookie: a=b\r\nX-One: \ttwo\r\nx-Excluded: c\r\n")
        let all = self.written { $0.writeFields(fields) }
        #expect(all.split(separator: "\r\n").count == fields.count && !all.contains(" \r\n"))
    }

    /// Otherwise a request could lose what says where it goes and where it ends.
    @Test func connectionCannotTakeHostAndLengthAway() throws {
        let fields = try self.parsed(
            "Host: a\r\nContent-Length: 5\r\nConnection: host, Content-Length, cookie\r\nCookie: a\r\n")
        let text = self.written { $0.writeFields(of: fields, excluding: [String]()) }
        #expect(text == "Host: a\r\nContent-Length: 5\r\n")
    }

    @Test func madeAndParsedFieldsAreWrittenAlike() throws {
        var fields = try self.parsed("Host: a\r\nX:b\r\nY: c\r\n")
        fields.removeAll("x")
        fields.append("Z", "d")
        #expect(self.written { $0.writeFields(fields) } == "Host: a\r\nY: c\r\nZ: d\r\n")
        let none = HeaderFields()
        #expect(self.written { $0.writeFields(none) }.isEmpty)
    }
}
