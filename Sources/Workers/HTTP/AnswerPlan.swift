package import HTTP1
package import NIOCore

/// What the server must know of a request to frame the answer to it.
package struct AnswerTerms: Sendable {
    package var isHead: Bool
    package var version: HTTPVersion
    package var keepAlive: Bool

    package init(isHead: Bool, version: HTTPVersion, keepAlive: Bool) {
        self.isHead = isHead
        self.version = version
        self.keepAlive = keepAlive
    }

    package init(_ head: RequestHead) {
        self.init(isHead: head.method == "HEAD", version: head.version, keepAlive: head.keepAlive)
    }
}

/// How an application's answer goes on the wire: its head, how the body's end is told, what happens to the connection.
package struct AnswerPlan: Sendable {
    package enum Framing: Sendable, Equatable {
        /// Nothing follows the head.
        case none
        /// These bytes follow, their number told in the head.
        case bytes(ByteBuffer)
        case chunked
        /// As many bytes as the head tells will follow in pieces.
        case counted(Int)
        /// HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
        case untilClose
    }

    package var head: ResponseHead
    package var framing: Framing
    /// Whether another request may follow on the connection.
    package var keepAlive: Bool

    /// - Parameters:
    ///   - isLast: the connection is to be closed in any case, because the server stops.
    ///   - date: for the `Date` field (RFC 9110 section 6.6.1).
    /// - Throws: `invalidResponse` for a status or a length that HTTP does not know.
    package init(
        _ response: WorkerResponse, to terms: AnswerTerms, isLast: Bool, date: String
    ) throws(WorkerError) {
        guard (200...599).contains(response.status) else {
            throw WorkerError(.invalidResponse, "The status is \(response.status); 200 to 599 can be answered.")
        }
        var fields = response.fields
        self.keepAlive = terms.keepAlive && !isLast && !fields.hasToken("close", in: "Connection")
        for name in ["Connection", "Content-Length", "Transfer-Encoding", "Keep-Alive"] { fields.removeAll(name) }
        if !fields.contains("Date") { fields.append("Date", date) }

        switch response.body {
        case _ where response.status == 204 || response.status == 304:
            self.framing = .none  // RFC 9110 sections 15.3.5, 15.4.5: no body, and 204 no length
        case .bytes(let bytes):
            fields.append("Content-Length", String(bytes.readableBytes))
            self.framing = terms.isHead || bytes.readableBytes == 0 ? .none : .bytes(bytes)
        case .stream(let length?, _):
            guard length >= 0 else { throw WorkerError(.invalidResponse, "The length of the body is \(length).") }
            fields.append("Content-Length", String(length))
            self.framing = terms.isHead ? .none : .counted(length)
        case .stream where terms.isHead:
            self.framing = .none
        case .stream where terms.version == .http11:
            fields.append("Transfer-Encoding", "chunked")
            self.framing = .chunked
        case .stream:
            self.framing = .untilClose
            self.keepAlive = false
        }
        if !self.keepAlive {
            fields.append("Connection", "close")
        } else if terms.version == .http10 {
            fields.append("Connection", "keep-alive")
        }
        self.head = ResponseHead(status: response.status, fields: fields)
    }
}
