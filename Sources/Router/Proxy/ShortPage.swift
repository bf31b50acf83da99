import HTTP1
import NIOCore

/// The few answers the proxy gives itself: a status line, and a page short enough to be read.
enum ShortPage {
    /// A whole answer.
    ///
    /// - Parameters:
    ///   - status: 400 to 599.
    ///   - fields: what is said besides.
    ///   - reason: one sentence for the reader; escaped here.
    ///   - requestID: to be found in the log by.
    ///   - date: the time now.
    static func bytes(
        status: Int, _ fields: [(String, String)] = [], reason: String, requestID: String?, keepsAlive: Bool,
        date: String
    ) -> ByteBuffer {
        let page = Self.page(status: status, reason: reason, requestID: requestID)
        var bytes = Self.head(status: status, fields, length: page.utf8.count, keepsAlive: keepsAlive, date: date)
        bytes.writeString(page)
        return bytes
    }

    /// HTML.
    static func page(status: Int, reason: String, requestID: String?) -> String {
        let phrase = ReasonPhrase.of(status)
        var page = "<!doctype html><title>\(status) \(phrase)</title><h1>\(status) \(phrase)</h1>"
        page += "<p>\(HTMLText.escaped(reason))</p>"
        if let requestID { page += "<p><small>Request \(HTMLText.escaped(requestID))</small></p>" }
        return page + "\n"
    }

    /// The head of an answer of ours.
    ///
    /// - Parameters:
    ///   - fields: what is said besides.
    ///   - length: bytes of the body, or of the one that a GET would have had.
    static func head(
        status: Int, _ fields: [(String, String)] = [], length: Int, keepsAlive: Bool, date: String
    ) -> ByteBuffer {
        var all = HeaderFields(fields)
        all.append("Date", date)
        if status >= 400 {
            all.append("Content-Type", "text/html; charset=utf-8")
            all.append("Cache-Control", "no-store")
        }
        if status == 503 { all.append("Retry-After", "5") }
        // What is taken at all; the application may take less (RFC 9110 section 15.5.6 wants the field).
        if status == 405, !all.contains("Allow") { all.append("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS") }
        if status != 304, status != 204 { all.append("Content-Length", String(length)) }
        all.append("Connection", keepsAlive ? "keep-alive" : "close")
        var bytes = ByteBuffer()
        bytes.writeResponseHead(ResponseHead(status: status, fields: all))
        return bytes
    }
}
