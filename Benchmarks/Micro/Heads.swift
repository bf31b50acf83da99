import HTTP1
import NIOCore

/// Reading and writing the heads of HTTP/1.1.
func heads(_ measure: Measure) {
    let handshake = ByteBuffer(string: Sample.handshake)
    measure("HTTP/1: read a handshake of \(handshake.readableBytes) bytes") {
        var bytes = handshake
        var parser = RequestHeadParser(limits: HeadLimits())
        guard let head = try parser.parse(&bytes) else { throw Incomplete() }
        keep(head)
    }
    measure("HTTP/1: read it and look at what a gateway wants") {
        var bytes = handshake
        var parser = RequestHeadParser(limits: HeadLimits())
        guard let head = try parser.parse(&bytes) else { throw Incomplete() }
        keep(head.path)
        keep(head.fields.hasToken("websocket", in: "upgrade"))
        keep(head.fields.hasToken("upgrade", in: "connection"))
        keep(head.fields["sec-websocket-key"])
        keep(head.fields["sec-websocket-version"])
        keep(head.fields["origin"])
    }
    let answer = ByteBuffer(string: Sample.answer)
    measure("HTTP/1: read an answer's head of \(answer.readableBytes) bytes") {
        var bytes = answer
        var parser = ResponseHeadParser(limits: HeadLimits())
        guard let head = try parser.parse(&bytes) else { throw Incomplete() }
        keep(head)
    }
    var bytes = handshake
    var parser = RequestHeadParser(limits: HeadLimits())
    guard let head = try? parser.parse(&bytes) else { return print("HTTP/1: the sample is no request") }
    var out = ByteBuffer()
    measure("HTTP/1: write the handshake again") {
        out.clear()
        out.writeRequestHead(head)
    }
}

struct Incomplete: Error {}

extension Sample {
    /// What a browser sends.
    static let handshake = [
        "GET /channels/groups/news HTTP/1.1", "Host: example.org", "Connection: Upgrade", "Pragma: no-cache",
        "Cache-Control: no-cache", "Upgrade: websocket", "Origin: https://example.org", "Sec-WebSocket-Version: 13",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537",
        "Accept-Encoding: gzip, deflate, br, zstd", "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
        "Cookie: sessionid=a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6; csrftoken=qwertzuiopasdfghjklyxcvbnm123456",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits", "", "",
    ].joined(separator: "\r\n")

    static let answer = [
        "HTTP/1.1 200 OK", "Server: gunicorn", "Date: Thu, 01 Jan 2026 00:00:00 GMT", "Connection: keep-alive",
        "Content-Type: text/html; charset=utf-8", "Content-Length: 5120", "X-Frame-Options: DENY", "Vary: Cookie", "",
        "",
    ].joined(separator: "\r\n")
}
