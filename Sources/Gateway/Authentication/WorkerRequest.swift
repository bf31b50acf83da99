package import HTTP1
package import NIOCore

/// An HTTP request the gateway makes to the worker pool on a connection's behalf.
package struct AskRequest: Sendable {
    package let head: RequestHead
    /// Empty for a GET.
    package let body: ByteBuffer
    /// To ask twice does no more than to ask once, so that it may be repeated when a kept connection had ended.
    package let isHarmless: Bool

    package init(head: RequestHead, body: ByteBuffer = ByteBuffer(), isHarmless: Bool = false) {
        self.head = head
        self.body = body
        self.isHarmless = isHarmless
    }
}

/// What a worker answered.
package struct AskAnswer: Sendable {
    /// The HTTP status.
    package let status: Int
    package let fields: HeaderFields
    package let body: ByteBuffer

    package init(status: Int, fields: HeaderFields = HeaderFields(), body: ByteBuffer) {
        self.status = status
        self.fields = fields
        self.body = body
    }
}

/// Asks the worker pool. The future fails when nobody answered in time, or when the answer was too large; which error
/// that is does not matter.
package typealias AskWorker = @Sendable (AskRequest, any EventLoop) -> EventLoopFuture<AskAnswer>

extension AskRequest {
    /// The fields of a handshake that a worker decides by, copied.
    private static let copied = ["Host", "Cookie", "Authorization", "Origin", "User-Agent", "Accept-Language"]

    /// A request that looks to the application as if the browser had made it: the same cookies, `Authorization`, host
    /// and origin; where it really comes from in `X-Forwarded-For`; what it really asked for in `X-Original-URI`.
    ///
    /// - Parameter target: path and query, percent-encoded.
    package init(
        _ method: String, _ target: String, for handshake: Handshake, body: ByteBuffer = ByteBuffer(),
        contentType: String? = nil
    ) {
        let original = handshake.head.fields
        var fields = HeaderFields()
        for name in Self.copied {
            // One field each but cookies, which come in several from HTTP/2 proxies and are joined (RFC 9113 §8.2.3).
            let value = name == "Cookie" ? original.values(name).joined(separator: "; ") : original[name] ?? ""
            if !value.isEmpty { fields.append(name, value) }
        }
        if let address = handshake.client.address { fields.append("X-Forwarded-For", address.description) }
        if handshake.client.isFromTrustedProxy {
            for name in ["X-Forwarded-Proto", "X-Forwarded-Host"] {
                if let value = original[name] { fields.append(name, value) }
            }
        }
        fields.append("X-Original-URI", handshake.head.target)
        fields.append("Accept", "application/json")
        if let contentType { fields.append("Content-Type", contentType) }
        if method != "GET" { fields.append("Content-Length", String(body.readableBytes)) }
        self.init(head: RequestHead(method: method, target: target, version: .http11, fields: fields), body: body)
    }
}
