import CAssets
import Files
package import NIOCore

/// A file that the binary carries.
package struct EmbeddedFile: SynchronousApplication {
    package let bytes: ByteBuffer
    package let contentType: String
    /// Changes with the content.
    package let entityTag: String

    /// `carillon.js`, the browser module.
    package static let browserModule = EmbeddedFile(
        cassets_browser_module(), contentType: "text/javascript; charset=utf-8")
    /// The page of the demonstration.
    package static let demoPage = EmbeddedFile(cassets_demo_page(), contentType: "text/html; charset=utf-8")
    /// The chat of the demonstration: a page that chooses its channel.
    package static let chatPage = EmbeddedFile(cassets_chat_page(), contentType: "text/html; charset=utf-8")

    private init(_ file: cassets_file, contentType: String) {
        let content = UnsafeBufferPointer(start: file.bytes, count: file.length)
        self.bytes = ByteBuffer(bytes: content)
        self.contentType = contentType
        // FNV-1a: it only has to tell one build's file from another's.
        let hash = content.reduce(UInt64(14_695_981_039_346_656_037)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        self.entityTag = "\"\(String(hash, radix: 36))\""
    }

    /// Answers `GET` and `HEAD`, with 304 to whoever has it already.
    package func respond(to request: WorkerRequest) -> WorkerResponse {
        guard request.method == "GET" || request.method == "HEAD" else {
            var response = ErrorPage.response(405, "This page can only be read.")
            response.fields.append("Allow", "GET, HEAD")
            return response
        }
        let isUnchanged = Preconditions.isUnchanged(tag: self.entityTag, modified: nil, request.fields)
        var response =
            isUnchanged ? WorkerResponse(status: 304) : WorkerResponse(contentType: self.contentType, self.bytes)
        response.fields.append("ETag", self.entityTag)
        response.fields.append("Cache-Control", "no-cache")  // asked for again each time, and mostly answered 304
        return response
    }
}
