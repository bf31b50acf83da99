import HTTP1
import NIOCore

/// A short HTTP answer, ready for the wire. It always says `Connection: close`.
struct Answer {
    let status: Int
    private let head: ByteBuffer
    private let body: ByteBuffer

    init(status: Int, fields: [(String, String)] = [], contentType: String, body: ByteBuffer) {
        self.init(
            status: status,
            fields: fields + [("Content-Type", contentType), ("Content-Length", String(body.readableBytes))],
            body: body)
    }

    private init(status: Int, fields: [(String, String)], body: ByteBuffer) {
        var headers = HeaderFields(fields)
        headers.append("Connection", "close")
        var head = ByteBuffer()
        head.writeResponseHead(ResponseHead(version: .http11, status: status, fields: headers))
        self.status = status
        self.head = head
        self.body = body
    }

    /// - Parameter method: of the request; an answer to HEAD has the fields of a body and no body.
    func bytes(to method: String) -> ByteBuffer {
        var bytes = self.head
        if method != "HEAD" { bytes.writeImmutableBuffer(self.body) }
        return bytes
    }

    /// A status that has no body.
    static func empty(_ status: Int, fields: [(String, String)] = []) -> Answer {
        Answer(status: status, fields: fields, body: ByteBuffer())
    }

    /// A status with one sentence for the person who looks.
    static func text(_ status: Int, _ sentence: String, fields: [(String, String)] = []) -> Answer {
        Answer(
            status: status, fields: fields, contentType: "text/plain; charset=utf-8",
            body: ByteBuffer(string: sentence + "\n"))
    }

    /// Why somebody is not let in: the code that the log has as well is told to who asks from this host, as they mend it.
    static func refusal(
        _ status: Int, _ reason: String, _ sentence: String, fields: [(String, String)] = [], isLocal: Bool
    ) -> Answer {
        .text(status, sentence, fields: fields + (isLocal ? [("X-Carillon-Reason", reason)] : []))
    }
}
