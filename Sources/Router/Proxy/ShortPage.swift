import HTTP1
import NIOCore

/// The few answers the proxy gives itself: a status line, and a page short enough to be read.
enum ShortPage {
    /// - Parameters:
    ///   - status: 400 to 599.
    ///   - reason: one sentence for the reader; escaped here.
    ///   - requestID: to be found in the log by.
    ///   - retryAfter: seconds, for 503.
    ///   - withBody: `false` for HEAD, whose answer has the fields of the page and not the page.
    static func bytes(
        status: Int, reason: String, requestID: String?, retryAfter: Int?, keepsAlive: Bool, withBody: Bool = true
    ) -> ByteBuffer {
        let phrase = ReasonPhrase.of(status)
        var page = "<!doctype html><title>\(status) \(phrase)</title><h1>\(status) \(phrase)</h1>"
        page += "<p>\(Self.escaped(reason))</p>"
        if let requestID { page += "<p><small>Request \(Self.escaped(requestID))</small></p>" }
        page += "\n"
        var head = "HTTP/1.1 \(status) \(phrase)\r\nContent-Type: text/html; charset=utf-8\r\n"
        head += "Content-Length: \(page.utf8.count)\r\nCache-Control: no-store\r\n"
        if let retryAfter { head += "Retry-After: \(retryAfter)\r\n" }
        head += "Connection: \(keepsAlive ? "keep-alive" : "close")\r\n\r\n"
        return ByteBuffer(string: withBody ? head + page : head)
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "&": result += "&amp;"
            case "\"": result += "&quot;"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
