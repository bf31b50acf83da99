import CAssets
import HTTP1
import NIOCore

/// `carillon.js`, served to pages.
enum BrowserModule {
    static let bytes: ByteBuffer = {
        let file = cassets_browser_module()
        return ByteBuffer(bytes: UnsafeBufferPointer(start: file.bytes, count: file.length))
    }()

    static func answer(to head: RequestHead) -> Answer {
        guard head.method == "GET" || head.method == "HEAD" else {
            return .text(405, "Only GET and HEAD.", fields: [("Allow", "GET, HEAD")])
        }
        // A page of any origin may import it: it is public, and says nothing of anybody.
        let fields = [("Cache-Control", "public, max-age=300"), ("Access-Control-Allow-Origin", "*")]
        return Answer(
            status: 200, fields: fields, contentType: "text/javascript; charset=utf-8", body: Self.bytes)
    }
}
