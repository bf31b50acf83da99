import HTTP1
import NIOCore

/// The heads the proxy sends on: the peers' own bytes, but for what is the proxy's business.
enum ForwardedHead {
    /// Appends the request for an upstream.
    ///
    /// - Parameter hostOfUpstream: for a request that came without `Host` (HTTP/1.0).
    static func write(
        _ head: RequestHead, plan: RequestPlan, identity: BrowserIdentity, name: RequestName, hostOfUpstream: String,
        to out: inout ByteBuffer
    ) {
        out.writeString(plan.method)
        out.writeStaticString(" ")
        out.writeString(plan.target)
        out.writeStaticString(" HTTP/1.1\r\n")
        let host = plan.hostFromTarget ?? plan.host
        if plan.hostFromTarget != nil || plan.host == nil { out.writeField("Host: ", host ?? hostOfUpstream) }
        FieldCopy.write(head.fields, to: &out) { kind, _, _ in
            switch kind {
            case .other: true
            case .connection, .contentLength, .proxy: false
            case .host: plan.hostFromTarget == nil
            case .expect: !plan.isHTTP10
            default: identity.passes(kind)
            }
        }
        Self.writeRequestFraming(plan, head, to: &out)
        identity.write(to: &out, head: head, host: host)
        out.writeStaticString("X-Request-ID: ")
        switch name {
        case .made(let id): out.write(id)
        case .given(let text): out.writeString(text)
        }
        out.writeStaticString("\r\n\r\n")
    }

    private static func writeRequestFraming(_ plan: RequestPlan, _ head: RequestHead, to out: inout ByteBuffer) {
        switch plan.framing {
        case .none, .untilClose: break
        case .length(let length): out.writeField("Content-Length: ", String(length))
        case .chunked: out.writeStaticString("Transfer-Encoding: chunked\r\n")
        }
        if plan.wantsWebSocket { out.writeStaticString("Connection: Upgrade\r\nUpgrade: websocket\r\n") }
        if plan.takesTrailers { out.writeStaticString("Connection: TE\r\nTE: trailers\r\n") }
    }

    /// Appends the final answer's head for the browser.
    static func write(_ head: ResponseHead, plan: AnswerPlan, request: RequestPlan, to out: inout ByteBuffer) {
        out.writeStatusLine(head)
        // RFC 9110 section 8.6: never in a 204; and never beside a framing of ours.
        let passesLength = plan.framing == .asIs && head.status != 204
        FieldCopy.write(head.fields, to: &out) { kind, _, _ in
            switch kind {
            case .connection: false
            case .contentLength: passesLength
            default: true
            }
        }
        if plan.saysChunked { out.writeStaticString("Transfer-Encoding: chunked\r\n") }
        if !plan.keepsAlive {
            out.writeStaticString("Connection: close\r\n")
        } else if request.isHTTP10 {
            out.writeStaticString("Connection: keep-alive\r\n")
        }
        out.writeStaticString("\r\n")
    }

    /// Appends an interim answer's head (1xx, not 101).
    static func writeInterim(_ head: ResponseHead, to out: inout ByteBuffer) {
        out.writeStatusLine(head)
        FieldCopy.write(head.fields, to: &out) { kind, _, _ in
            switch kind {
            case .connection, .contentLength: false
            default: true
            }
        }
        out.writeStaticString("\r\n")
    }

    /// Appends the head of a 101 that opens a WebSocket.
    static func writeSwitch(_ head: ResponseHead, to out: inout ByteBuffer) {
        out.writeStatusLine(head)
        out.writeStaticString("Connection: Upgrade\r\nUpgrade: websocket\r\n")
        FieldCopy.write(head.fields, to: &out) { kind, _, _ in
            switch kind {
            case .connection, .contentLength: false
            default: true
            }
        }
        out.writeStaticString("\r\n")
    }
}
