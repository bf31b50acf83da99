/// More of what two HTTP/1.1 readers in a row could understand differently: one sees a request where the other sees a
/// body, a field or nothing. Part of `RequestShape.all`.
extension RequestShape {
    /// Whoever sees a request for this has been fooled.
    public static let smuggledTarget = "/smuggled"

    /// The refused shapes, each with a sane request behind it that nobody may ever see.
    public static var smuggling: [RequestShape] {
        let smuggled = Array("GET \(Self.smuggledTarget) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        return Self.refused.map { RequestShape($0.name, $0.status, bytes: $0.bytes + smuggled) }
    }

    static let smugglingCorpus =
        Self.firstLines + Self.lineEnds + Self.moreHosts + Self.names + Self.moreFramings + Self.moreChunks
        + Self.rawBytes

    /// `POST /` with more fields and one chunk for a body, which is five bytes and more to who sees no coding.
    private static func fields(_ name: String, _ status: Int?, _ fields: String) -> RequestShape {
        RequestShape(
            name, status, "POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    }

    private static func first(_ name: String, _ status: Int?, _ line: String) -> RequestShape {
        RequestShape(name, status, "\(line)\r\nHost: a\r\n\r\n")
    }

    private static func host(_ name: String, _ host: String) -> RequestShape {
        RequestShape(name, 400, "GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")
    }

    private static func chunks(_ name: String, _ status: Int?, _ body: String) -> RequestShape {
        RequestShape(name, status, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\(body)")
    }
}

// MARK: - First lines and line ends

extension RequestShape {
    private static let firstLines: [RequestShape] = [
        Self.first("a vertical tab in the target", 400, "GET /\u{0B}x HTTP/1.1"),
        Self.first("a form feed for a space", 400, "GET /\u{0C}HTTP/1.1"),
        Self.first("two versions", 400, "GET / HTTP/1.1 HTTP/1.1"),
        Self.first("an empty target", 400, "GET  HTTP/1.1"),
        Self.first("no method", 400, "/ HTTP/1.1"),
        Self.first("a space before no method", 400, " / HTTP/1.1"),
        Self.first("a method in brackets", 400, "(GET) / HTTP/1.1"),
        Self.first("a NUL in the method", 400, "G\0T / HTTP/1.1"),
        Self.first("a version with a leading zero", 400, "GET / HTTP/01.1"),
        Self.first("a version with a comma", 400, "GET / HTTP/1,1"),
        Self.first("a version with a space", 400, "GET / HTTP/ 1.1"),
        Self.first("a version with a letter", 400, "GET / HTTP/1.x"),
        Self.first("HTTP/3.1", 505, "GET / HTTP/3.1"),
        Self.first("CONNECT to a URL", 400, "CONNECT http://a:80/ HTTP/1.1"),
        Self.first("CONNECT with a port past 65535", 400, "CONNECT a:65536 HTTP/1.1"),
        Self.first("an absolute target with a bad port", 400, "GET http://a:8x/ HTTP/1.1"),
        Self.first("an absolute target with a back-slash", 400, "GET http://a\\b/ HTTP/1.1"),
        Self.first("a file", 400, "GET file:///etc/passwd HTTP/1.1"),
    ]

    private static let lineEnds: [RequestShape] = [
        RequestShape("CR CR LF after a field", 400, "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
        RequestShape("CR X LF for the empty line", 400, "GET / HTTP/1.1\r\nHost: a\r\n\rX\n"),
        RequestShape("LF CR LF at the end", 400, "GET / HTTP/1.1\r\nHost: a\n\r\n"),
        RequestShape("LF LF at the end", 400, "GET / HTTP/1.1\r\nHost: a\n\n"),
        RequestShape("LF CR at the end", 400, "GET / HTTP/1.1\r\nHost: a\n\r"),
        RequestShape("an empty line in front that is a space", 400, " \r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        RequestShape("NUL in front", 400, "\0GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Self.fields("a line folded with spaces only", 400, "X: a\r\n "),
        Self.fields("a folded coding", 400, "Transfer-Encoding:\r\n chunked"),
        Self.fields("a coding in a fold", 400, "X: a\r\n\tTransfer-Encoding: chunked"),
        Self.fields("a request line for a field", 400, "GET /smuggled HTTP/1.1"),
    ]
}

// MARK: - Fields

extension RequestShape {
    private static let moreHosts: [RequestShape] = [
        Self.host("Host with a space", "a b"),
        Self.host("Host with a tab", "a\tb"),
        Self.host("Host with a query", "a?b"),
        Self.host("Host with a fragment", "a#b"),
        Self.host("Host with a back-slash", "a\\b"),
        Self.host("Host in quotes", "\"a\""),
        Self.host("Host with a scheme", "http://a"),
        Self.host("Host with a signed port", "a:+80"),
        Self.host("Host with two ports", "a:80:80"),
        Self.host("Host with words after the bracket", "[::1]a"),
        Self.host("Host with a zone", "[fe80::1%25eth0]"),
        Self.host("Host past ASCII", "ä"),
        Self.host("Host with a comma behind", "a,"),
    ]

    private static let names: [RequestShape] = [
        Self.fields("a tab before the colon of a coding", 400, "Transfer-Encoding\t: chunked"),
        Self.fields("a length's name with a space", 400, "Content Length: 5"),
        Self.fields("a length's name with NUL", 400, "Content-Length\0: 5"),
        Self.fields("a coding's name with a vertical tab", 400, "Transfer-Encoding\u{0B}: chunked"),
        Self.fields("DEL in a name", 400, "X\u{7F}: a"),
        Self.fields("a name in quotes", 400, "\"X\": a"),
        Self.fields("a slash in a name", 400, "X/Y: a"),
        Self.fields("at in a name", 400, "X@Y: a"),
        Self.fields("square brackets in a name", 400, "X[0]: a"),
        Self.fields("a semicolon in a name", 400, "X;Y: a"),
        Self.fields("a comma in a name", 400, "X,Y: a"),
        Self.fields("a back-slash in a name", 400, "X\\Y: a"),
        Self.fields("SOH in a value", 400, "X: a\u{01}b"),
        Self.fields("a vertical tab in a value", 400, "X: a\u{0B}b"),
        Self.fields("a form feed in a value", 400, "X: a\u{0C}b"),
    ]

    private static let rawBytes: [RequestShape] = [
        Self.raw(
            "a no-break space before the colon", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length", 0xA0, ": 5\r\n\r\n"),
        Self.raw(
            "a no-break space before a length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ", 0xA0, "5\r\n\r\n"),
        Self.raw("byte 0xFF in a name", "GET / HTTP/1.1\r\nHost: a\r\nX", 0xFF, ": 5\r\n\r\n"),
        Self.raw(
            "byte 0x85 before a coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ", 0x85, "chunked\r\n\r\n"),
        Self.raw("byte 0x8A for LF", "GET / HTTP/1.1\r", 0x8A, "Host: a\r\n\r\n"),
        Self.raw("byte 0x8D for CR", "GET / HTTP/1.1", 0x8D, "\nHost: a\r\n\r\n"),
    ]

    private static func raw(_ name: String, _ front: String, _ byte: UInt8, _ back: String) -> RequestShape {
        RequestShape(name, 400, bytes: Array(front.utf8) + [byte] + Array(back.utf8))
    }
}

// MARK: - Framing

extension RequestShape {
    private static let moreFramings: [RequestShape] = [
        Self.fields("a coding and a length of zero", 400, "Transfer-Encoding: chunked\r\nContent-Length: 0"),
        Self.fields("two lengths in different case", 400, "Content-Length: 5\r\ncontent-LENGTH: 0"),
        Self.fields("three lengths", 400, "Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 5"),
        Self.fields("a list of different lengths", 400, "Content-Length: 5, 6"),
        Self.fields("a length with a comma behind", 400, "Content-Length: 5,"),
        Self.fields("a length of spaces", 400, "Content-Length:   "),
        Self.fields("a length with a tab behind", 400, "Content-Length: 5\t"),
        Self.fields("negative zero", 400, "Content-Length: -0"),
        Self.fields("a length with a semicolon", 400, "Content-Length: 5;a"),
        Self.fields("a length with a unit", 400, "Content-Length: 5 bytes"),
        Self.fields("a length of wide digits", 400, "Content-Length: ５"),
        Self.fields("chunked with a tab behind", 400, "Transfer-Encoding: chunked\t"),
        Self.fields("identity, then chunked", 400, "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"),
        Self.fields("chunked, and then gzip", 400, "Transfer-Encoding: chunked, gzip"),
        Self.fields("chunked after a semicolon", 400, "Transfer-Encoding: gzip;chunked"),
        Self.fields("chunkedx", 400, "Transfer-Encoding: chunkedx"),
        Self.fields("half of chunked", 400, "Transfer-Encoding: chunk"),
        Self.fields("chunked in single quotes", 400, "Transfer-Encoding: 'chunked'"),
        Self.fields("chunked with a word behind", 400, "Transfer-Encoding: chunked bogus"),
        Self.fields("chunked with a vertical tab behind", 400, "Transfer-Encoding: chunked\u{0B}"),
        Self.fields("chunked with NUL behind", 400, "Transfer-Encoding: chunked\0"),
        Self.fields("a Kelvin sign in chunked", 400, "Transfer-Encoding: chun\u{212A}ed"),
        RequestShape(
            "both lengths in HTTP/1.0", 400,
            "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        RequestShape(
            "both lengths of GET", 400,
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ]

    private static let moreChunks: [RequestShape] = [
        Self.chunks("a chunk's size with an underscore", 400, "0_5\r\nhello\r\n0\r\n\r\n"),
        Self.chunks("a tab after a chunk's size", 400, "5\t\r\nhello\r\n0\r\n\r\n"),
        Self.chunks("NUL after a chunk's size", 400, "5\0\r\nhello\r\n0\r\n\r\n"),
        Self.chunks("a chunk's size of 64 bits", 400, "FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
        Self.chunks(
            "a chunk's size after a hundred zeros", 400, String(repeating: "0", count: 100) + "5\r\nhello\r\n0\r\n\r\n"),
        Self.chunks("CR after a chunk", 400, "5\r\nhello\r0\r\n\r\n"),
        Self.chunks("CR CR LF after a chunk", 400, "5\r\nhello\r\r\n0\r\n\r\n"),
        Self.chunks("CR in an extension", 400, "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        Self.chunks("CR after a semicolon", 400, "5;\rb\r\nhello\r\n0\r\n\r\n"),
        Self.chunks("an open quote in an extension", 400, "5;a=\"\r\nhello\r\n0\r\n\r\n"),
        Self.chunks("an escaped LF in an extension", 400, "5;a=\"\\\n\"\r\nhello\r\n0\r\n\r\n"),
        Self.chunks("CR CR for the end of the trailers", 400, "0\r\n\r\r"),
        Self.chunks("CR X for the end of the trailers", 400, "0\r\n\rX"),
        Self.chunks("a last chunk with words behind", 400, "0\r\nhello\r\n\r\n"),
        Self.chunks("a trailer with LF", 400, "0\r\nX: a\n\r\n"),
        Self.chunks("a trailer with CR", 400, "0\r\nX: a\rY: b\r\n\r\n"),
        Self.chunks("a trailer with NUL", 400, "0\r\nX: \0\r\n\r\n"),
        Self.chunks("a trailer without a name", 400, "0\r\n: a\r\n\r\n"),
    ]
}
