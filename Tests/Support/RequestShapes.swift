/// A request as bytes, and what a strict server says to it: for the codec's tests, and for those who want to see that no
/// shape gets past a router either.
public struct RequestShape: Sendable, CustomStringConvertible {
    /// What is the matter with it.
    public let name: String
    public let bytes: [UInt8]
    /// The status it is refused with; `nil` for a request that is taken.
    public let status: Int?

    public var description: String { self.name }

    init(_ name: String, _ status: Int?, _ text: String) {
        self.name = name
        self.bytes = Array(text.utf8)
        self.status = status
    }

    init(_ name: String, _ status: Int?, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
        self.status = status
    }

    /// Every shape, good and bad.
    public static let all =
        Self.taken + Self.requestLines + Self.fieldLines + Self.hosts + Self.framings + Self.codings + Self.chunks
        + Self.smugglingCorpus

    /// What a front server and a back-end could understand differently, or nobody should.
    public static var refused: [RequestShape] { Self.all.filter { $0.status != nil } }

    /// `GET /` with more fields.
    private static func get(_ name: String, _ status: Int?, _ fields: String) -> RequestShape {
        RequestShape(name, status, "GET / HTTP/1.1\r\nHost: example.org\r\n\(fields)\r\n\r\n")
    }

    /// `POST /` with more fields and a body.
    private static func post(_ name: String, _ status: Int?, _ fields: String, _ body: String = "") -> RequestShape {
        RequestShape(name, status, "POST / HTTP/1.1\r\nHost: example.org\r\n\(fields)\r\n\r\n\(body)")
    }

    private static func line(_ name: String, _ status: Int?, _ line: String) -> RequestShape {
        RequestShape(name, status, "\(line)\r\nHost: example.org\r\n\r\n")
    }

    private static func chunked(_ name: String, _ status: Int?, _ body: String) -> RequestShape {
        Self.post(name, status, "Transfer-Encoding: chunked", body)
    }
}

// MARK: - Requests that are taken

extension RequestShape {
    public static let taken: [RequestShape] = [
        Self.get("the smallest request", nil, "Accept: */*"),
        RequestShape("HTTP/1.0 without Host", nil, "GET / HTTP/1.0\r\n\r\n"),
        RequestShape("HTTP/1.0 that stays", nil, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
        RequestShape("one empty line in front", nil, "\r\nGET / HTTP/1.1\r\nHost: example.org\r\n\r\n"),
        Self.get("a value without a space before it", nil, "X:1"),
        Self.get("an empty value", nil, "X:"),
        Self.get("white space around a value", nil, "X: \t 1 \t "),
        Self.get("a value with tabs and high bytes", nil, "X: a\tb \u{E9}"),
        Self.get("names with every kind of character", nil, "!#$%&'*+-.^_`|~09azAZ: 1"),
        Self.post("a length", nil, "Content-Length: 5", "hello"),
        Self.post("a length of zero", nil, "Content-Length: 0"),
        Self.post("a length with leading zeros", nil, "Content-Length: 0005", "hello"),
        Self.chunked("one chunk", nil, "5\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("chunks", nil, "5\r\nhello\r\nA\r\n0123456789\r\n00\r\n\r\n"),
        Self.chunked("extensions", nil, "5;a\r\nhello\r\n5;a=b;c=\"d;\\\"\"\r\nhello\r\n0;z\r\n\r\n"),
        Self.chunked("trailers", nil, "5\r\nhello\r\n0\r\nChecksum: abc\r\n\r\n"),
        Self.post("chunked in capitals", nil, "Transfer-Encoding: CHUNKED", "0\r\n\r\n"),
        Self.line("a path with everything", nil, "GET /a;b=c/%20/~x?y=[z]&'(!)|{}^`\"<>\\ HTTP/1.1"),
        Self.line("an absolute target", nil, "GET http://example.org:80/a?b HTTP/1.1"),
        Self.line("an absolute target without a path", nil, "GET HTTP://example.org HTTP/1.1"),
        Self.line("the server itself", nil, "OPTIONS * HTTP/1.1"),
        Self.line("CONNECT", nil, "CONNECT example.org:443 HTTP/1.1"),
        RequestShape("an IPv6 host", nil, "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8000\r\n\r\n"),
        RequestShape("an empty Host", nil, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        Self.get(
            "a WebSocket handshake", nil,
            "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        RequestShape(
            "two requests in a row", nil,
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: b\r\n\r\n"),
        RequestShape(
            "a chunked request and another", nil,
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                + "GET /b HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n"),
    ]
}

// MARK: - First lines

extension RequestShape {
    static let requestLines: [RequestShape] = [
        RequestShape("two empty lines in front", 400, "\r\n\r\nGET / HTTP/1.1\r\nHost: example.org\r\n\r\n"),
        RequestShape("LF in front", 400, "\nGET / HTTP/1.1\r\nHost: example.org\r\n\r\n"),
        RequestShape("CR in front", 400, "\rGET / HTTP/1.1\r\nHost: example.org\r\n\r\n"),
        Self.line("a space in front", 400, " GET / HTTP/1.1"),
        Self.line("two spaces before the target", 400, "GET  / HTTP/1.1"),
        Self.line("two spaces before the version", 400, "GET /  HTTP/1.1"),
        Self.line("a space after the version", 400, "GET / HTTP/1.1 "),
        Self.line("a tab before the target", 400, "GET\t/ HTTP/1.1"),
        Self.line("a tab before the version", 400, "GET /\tHTTP/1.1"),
        Self.line("no version", 400, "GET /"),
        Self.line("no version but a space", 400, "GET / "),
        Self.line("no target", 400, "GET HTTP/1.1"),
        Self.line("a version in lower case", 400, "GET / http/1.1"),
        Self.line("a version of two digits", 400, "GET / HTTP/1.10"),
        Self.line("a version without a dot", 400, "GET / HTTP/11"),
        Self.line("another protocol", 400, "GET / ICE/1.0"),
        Self.line("HTTP/1.2", 505, "GET / HTTP/1.2"),
        Self.line("HTTP/0.9 in words", 505, "GET / HTTP/0.9"),
        Self.line("HTTP/2.0", 505, "GET / HTTP/2.0"),
        RequestShape("the preface of HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        RequestShape("HTTP/0.9", 400, "GET /\r\n"),
        RequestShape("LF after the first line", 400, "GET / HTTP/1.1\nHost: example.org\r\n\r\n"),
        RequestShape("CR in the first line", 400, "GET / HTTP/1.1\rHost: example.org\r\n\r\n"),
        RequestShape("two CR", 400, "GET / HTTP/1.1\r\r\nHost: example.org\r\n\r\n"),
        Self.line("a method in lower case", 501, "get / HTTP/1.1"),
        Self.line("a method nobody knows", 501, "BREW / HTTP/1.1"),
        Self.line("a method with a colon", 400, "GE:T / HTTP/1.1"),
        Self.line("a long method", 400, "\(String(repeating: "A", count: 40)) / HTTP/1.1"),
        RequestShape(
            "the hello of TLS", 400, bytes: [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03]),
        Self.line("a control character in the target", 400, "GET /\u{1} HTTP/1.1"),
        Self.line("a NUL in the target", 400, "GET /\0 HTTP/1.1"),
        Self.line("DEL in the target", 400, "GET /\u{7F} HTTP/1.1"),
        Self.line("a high byte in the target", 400, "GET /\u{E9} HTTP/1.1"),
        Self.line("a fragment", 400, "GET /a#b HTTP/1.1"),
        Self.line("a relative target", 400, "GET a/b HTTP/1.1"),
        Self.line("a query alone", 400, "GET ?a HTTP/1.1"),
        Self.line("* for GET", 400, "GET * HTTP/1.1"),
        Self.line("** for OPTIONS", 400, "OPTIONS ** HTTP/1.1"),
        Self.line("another scheme", 400, "GET ftp://example.org/ HTTP/1.1"),
        Self.line("an absolute target without a host", 400, "GET http:///a HTTP/1.1"),
        Self.line("user information in the target", 400, "GET http://a@example.org/ HTTP/1.1"),
        Self.line("an authority for GET", 400, "GET example.org:443 HTTP/1.1"),
        Self.line("CONNECT to a path", 400, "CONNECT / HTTP/1.1"),
        Self.line("CONNECT without a port", 400, "CONNECT example.org HTTP/1.1"),
        Self.line("CONNECT with an empty port", 400, "CONNECT example.org: HTTP/1.1"),
        Self.line("a long target", 414, "GET /\(String(repeating: "a", count: 9000)) HTTP/1.1"),
    ]
}

// MARK: - Field lines

extension RequestShape {
    static let fieldLines: [RequestShape] = [
        Self.get("a folded line", 400, "X: a\r\n b"),
        Self.get("a line folded with a tab", 400, "X: a\r\n\tb"),
        RequestShape("a first field that is folded", 400, "GET / HTTP/1.1\r\n Host: example.org\r\n\r\n"),
        Self.get("a space before the colon", 400, "X : a"),
        Self.get("a tab before the colon", 400, "X\t: a"),
        Self.get("a length with a space before its colon", 400, "Content-Length : 5"),
        Self.get("no colon", 400, "X"),
        Self.get("no name", 400, ": a"),
        Self.get("a space in a name", 400, "X Y: a"),
        Self.get("a parenthesis in a name", 400, "X(Y): a"),
        Self.get("a high byte in a name", 400, "X\u{E9}: a"),
        Self.get("a NUL in a name", 400, "X\0Y: a"),
        Self.get("a long name", 431, "\(String(repeating: "a", count: 300)): a"),
        Self.get("LF after a field", 400, "X: a\nY: b"),
        Self.get("LF inside a value that hides a length", 400, "X: a\nContent-Length: 5"),
        Self.get("CR inside a value", 400, "X: a\rContent-Length: 5"),
        Self.get("CR at a value's end", 400, "X: a\r\rY: b"),
        Self.get("CR in front of a name", 400, "\rX: a"),
        RequestShape("LF for the empty line", 400, "GET / HTTP/1.1\r\nHost: example.org\r\n\n"),
        RequestShape("CR for the empty line", 400, "GET / HTTP/1.1\r\nHost: example.org\r\n\rX: a\r\n\r\n"),
        Self.get("a NUL in a value", 400, "X: a\0b"),
        Self.get("a bell in a value", 400, "X: a\u{7}b"),
        Self.get("an escape in a value", 400, "X: \u{1B}[2J"),
        Self.get("DEL in a value", 400, "X: a\u{7F}"),
        Self.get("a vertical tab before chunked", 400, "Transfer-Encoding: \u{B}chunked"),
        Self.get("a form feed after a length", 400, "Content-Length: 5\u{C}"),
        Self.get("too many fields", 431, (0..<120).map { "X\($0): a" }.joined(separator: "\r\n")),
        Self.get("too large a head", 431, "X: \(String(repeating: "a", count: 40_000))"),
    ]

    static let hosts: [RequestShape] = [
        RequestShape("no Host", 400, "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n"),
        RequestShape("no field at all", 400, "GET / HTTP/1.1\r\n\r\n"),
        Self.get("two Hosts", 400, "Host: example.net"),
        Self.get("the same Host twice", 400, "host: example.org"),
        RequestShape("two Hosts in HTTP/1.0", 400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
        RequestShape("two Hosts with an absolute target", 400, "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        RequestShape("a path in Host", 400, "GET / HTTP/1.1\r\nHost: example.org/a\r\n\r\n"),
        RequestShape("user information in Host", 400, "GET / HTTP/1.1\r\nHost: a@example.org\r\n\r\n"),
        RequestShape("a list in Host", 400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
        RequestShape("a port that is none", 400, "GET / HTTP/1.1\r\nHost: example.org:http\r\n\r\n"),
        RequestShape("a port out of range", 400, "GET / HTTP/1.1\r\nHost: example.org:65536\r\n\r\n"),
        RequestShape("a port alone", 400, "GET / HTTP/1.1\r\nHost: :80\r\n\r\n"),
        RequestShape("an IPv6 address without brackets", 400, "GET / HTTP/1.1\r\nHost: 2001:db8::1\r\n\r\n"),
        RequestShape("an open bracket in Host", 400, "GET / HTTP/1.1\r\nHost: [2001:db8::1\r\n\r\n"),
        RequestShape("brackets round a name", 400, "GET / HTTP/1.1\r\nHost: [example]\r\n\r\n"),
        RequestShape("half a percent encoding in Host", 400, "GET / HTTP/1.1\r\nHost: exa%2mple\r\n\r\n"),
    ]
}

// MARK: - Framing

extension RequestShape {
    static let framings: [RequestShape] = [
        Self.post("both lengths", 400, "Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        Self.post("both lengths, the other way", 400, "Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
        Self.post("two lengths", 400, "Content-Length: 5\r\nContent-Length: 6", "hello!"),
        Self.post("the same length twice", 400, "Content-Length: 5\r\nContent-Length: 5", "hello"),
        Self.post("a list of lengths", 400, "Content-Length: 5, 5", "hello"),
        Self.post("no length", 400, "Content-Length:"),
        Self.post("a length with a plus", 400, "Content-Length: +5", "hello"),
        Self.post("a length with a minus", 400, "Content-Length: -5", "hello"),
        Self.post("a hexadecimal length", 400, "Content-Length: 0x5", "hello"),
        Self.post("a length with a space", 400, "Content-Length: 1 0", "0123456789"),
        Self.post("a length with a point", 400, "Content-Length: 5.0", "hello"),
        Self.post("a length with an exponent", 400, "Content-Length: 5e1", "hello"),
        Self.post("a length with a separator", 400, "Content-Length: 1_0", "0123456789"),
        Self.post("a quoted length", 400, "Content-Length: \"5\"", "hello"),
        Self.post("a length in other digits", 400, "Content-Length: \u{0665}", "hello"),
        Self.post("a length past 63 bits", 400, "Content-Length: 9223372036854775808", "hello"),
        Self.post("a length past 64 bits", 400, "Content-Length: 18446744073709551621", "hello"),
        Self.post("a length of forty digits", 400, "Content-Length: \(String(repeating: "9", count: 40))", "hello"),
    ]

    static let codings: [RequestShape] = [
        Self.post("chunked, and then something", 400, "Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
        Self.post("chunked twice", 400, "Transfer-Encoding: chunked, chunked", "0\r\n\r\n"),
        Self.post(
            "chunked in two fields", 400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        Self.post(
            "identity in another field", 400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n"),
        Self.post("identity", 400, "Transfer-Encoding: identity", "hello"),
        Self.post("gzip alone", 400, "Transfer-Encoding: gzip", "hello"),
        Self.post("gzip and chunked", 501, "Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
        Self.post("a coding nobody knows", 400, "Transfer-Encoding: xchunked", "0\r\n\r\n"),
        Self.post("quoted chunked", 400, "Transfer-Encoding: \"chunked\"", "0\r\n\r\n"),
        Self.post("chunked with a parameter", 400, "Transfer-Encoding: chunked;a=b", "0\r\n\r\n"),
        Self.post("an empty coding", 400, "Transfer-Encoding:", "0\r\n\r\n"),
        Self.post("a comma after chunked", 400, "Transfer-Encoding: chunked,", "0\r\n\r\n"),
        Self.post("a comma before chunked", 501, "Transfer-Encoding: ,chunked", "0\r\n\r\n"),
        Self.post("an underscore's twin beside a length", nil, "Transfer_Encoding: chunked\r\nContent-Length: 0"),
        RequestShape(
            "chunked in HTTP/1.0", 400,
            "POST / HTTP/1.0\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ]

    static let chunks: [RequestShape] = [
        Self.chunked("a chunk without a size", 400, "\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("a chunk's size with a sign", 400, "+5\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("a negative chunk", 400, "-5\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("a chunk's size with 0x", 400, "0x5\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("a space before a chunk's size", 400, " 5\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("a space after a chunk's size", 400, "5 \r\nhello\r\n0\r\n\r\n"),
        Self.chunked("a chunk's size that is no number", 400, "g\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("a chunk's size past 64 bits", 400, "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("a chunk's size of 63 bits", 400, "7fffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("LF after a chunk's size", 400, "5\nhello\r\n0\r\n\r\n"),
        Self.chunked("CR after a chunk's size", 400, "5\rhello\r\n0\r\n\r\n"),
        Self.chunked("two CR after a chunk's size", 400, "5\r\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("LF after a chunk", 400, "5\r\nhello\n0\r\n\r\n"),
        Self.chunked("nothing after a chunk", 400, "5\r\nhello0\r\n\r\n"),
        Self.chunked("a chunk that is longer than it says", 400, "4\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("a chunk that is shorter than it says", 400, "6\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("LF after the last chunk", 400, "0\n\r\n"),
        Self.chunked("LF for the end of the trailers", 400, "0\r\n\n"),
        Self.chunked("an extension without a name", 400, "5;\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("an extension without a value", 400, "5;a=\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("a space in an extension", 400, "5; a\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("LF in an extension", 400, "5;a\nhello\r\n0\r\n\r\n"),
        Self.chunked("LF in a quoted extension", 400, "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("a NUL in an extension", 400, "5;a=\"\0\"\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("a long extension", 400, "5;a=\(String(repeating: "b", count: 300))\r\nhello\r\n0\r\n\r\n"),
        Self.chunked("a folded trailer", 400, "0\r\nX: a\r\n b\r\n\r\n"),
        Self.chunked("a trailer with a space before its colon", 400, "0\r\nX : a\r\n\r\n"),
        Self.chunked("a length in the trailers", 400, "0\r\nContent-Length: 5\r\n\r\n"),
        Self.chunked("a coding in the trailers", 400, "0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Self.chunked("a Host in the trailers", 400, "0\r\nHost: example.net\r\n\r\n"),
        Self.chunked("too many trailers", 431, "0\r\n" + (0..<40).map { "X\($0): a\r\n" }.joined() + "\r\n"),
        Self.chunked("too large a trailer", 431, "0\r\nX: \(String(repeating: "a", count: 9000))\r\n\r\n"),
    ]
}
