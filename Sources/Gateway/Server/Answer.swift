import HTTP1
import NIOCore

/// A short HTTP answer, ready for the wire. It always says `Connection: close`.
struct Answer {
    let bytes: ByteBuffer

    init(status: Int, fields: [(String, String)] = [], contentType: String, body: ByteBuffer, withoutBody: Bool = false)
    {
        var headers = HeaderFields(fields)
        headers.append("Content-Type", contentType)
        headers.append("Content-Length", String(body.readableBytes))
        headers.append("Connection", "close")
        var bytes = ByteBuffer()
        bytes.writeResponseHead(ResponseHead(version: .http11, status: status, fields: headers))
        if !withoutBody { bytes.writeImmutableBuffer(body) }
        self.bytes = bytes
    }

    /// A status with one sentence for the person who looks.
    static func text(_ status: Int, _ sentence: String, fields: [(String, String)] = []) -> Answer {
        Answer(
            status: status, fields: fields, contentType: "text/plain; charset=utf-8",
            body: ByteBuffer(string: sentence + "\n"))
    }
}
