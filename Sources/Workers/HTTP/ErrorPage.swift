import HTTP1
import NIOCore

/// The short pages the server itself answers with.
enum ErrorPage {
    /// - Parameter message: one sentence for a person; escaped here.
    static func response(_ status: Int, _ message: String, retryAfter: Int? = nil) -> WorkerResponse {
        let title = "\(status) \(ReasonPhrase.of(status))"
        var response = WorkerResponse.html(
            """
            <!doctype html>
            <html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
            <title>\(title)</title>
            <style>body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1rem;color-scheme:light dark}</style>
            <h1>\(title)</h1>
            <p>\(HTMLText.escaped(message))</p>

            """, status: status)
        response.fields.append("Cache-Control", "no-store")
        if let retryAfter { response.fields.append("Retry-After", String(retryAfter)) }
        return response
    }
}
