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

    package var framing: Framing
    private let status: Int
    /// The application's; what is the server's business among them is left out when they are written.
    private let fields: HeaderFields
    /// `nil` when the application tells its own.
    private let date: String?
    /// Bytes of the body, when the head tells them.
    private var length: Int?
    /// The visitor takes the connection to be kept, or not to be, unless the head says so.
    private var saysKeepAlive = false
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
        self.status = response.status
        self.fields = response.fields
        self.date = response.fields.contains(.date) ? nil : date
        self.keepAlive = terms.keepAlive && !isLast && !response.fields.hasToken("close", in: .connection)
        switch response.body {
        case _ where response.status == 204 || response.status == 304:
            self.framing = .none  // RFC 9110 sections 15.3.5, 15.4.5: no body, and 204 no length
        case .bytes(let bytes):
            self.length = bytes.readableBytes
            self.framing = terms.isHead || bytes.readableBytes == 0 ? .none : .bytes(bytes)
        case .stream(let length?, _):
            guard length >= 0 else { throw WorkerError(.invalidResponse, "The length of the body is \(length).") }
            self.length = length
            self.framing = terms.isHead ? .none : .counted(length)
        case .stream where terms.isHead:
            self.framing = .none
        case .stream where terms.version == .http11:
            self.framing = .chunked
        case .stream:
            self.framing = .untilClose
            self.keepAlive = false
        }
        self.saysKeepAlive = self.keepAlive && terms.version == .http10
    }

    /// What is the server's business.
    private static let notTheApplications: KnownFields = [
        .connection, .contentLength, .transferEncoding, .keepAlive,
    ]

    /// Bytes of the head, at most.
    package var headBytes: Int { self.fields.byteCount &+ 256 }

    /// Appends the head with its empty line.
    package func writeHead(to bytes: inout ByteBuffer) {
        bytes.writeStatusLine(self.status)
        bytes.writeFields(of: self.fields) { field, _, _ in !Self.notTheApplications.contains(field) }
        if let date = self.date {
            bytes.writeStaticString("Date: ")
            bytes.writeString(date)
            bytes.writeStaticString("\r\n")
        }
        if let length = self.length {
            bytes.writeStaticString("Content-Length: ")
            bytes.writeString(String(length))
            bytes.writeStaticString("\r\n")
        }
        if self.framing == .chunked { bytes.writeStaticString("Transfer-Encoding: chunked\r\n") }
        if !self.keepAlive {
            bytes.writeStaticString("Connection: close\r\n")
        } else if self.saysKeepAlive {
            bytes.writeStaticString("Connection: keep-alive\r\n")
        }
        bytes.writeStaticString("\r\n")
    }
}
