import HTTP1
import NIOCore

/// The heads the proxy sends on: the peers' own bytes, but for what is the proxy's business.
enum ForwardedHead {
    /// Appends the request for an upstream.
    ///
    /// - Parameter hostOfUpstream: for a request that came without `Host` (HTTP/1.0).
    static func write(
        _ head: RequestHead, plan: RequestPlan, identity: BrowserIdentity, name: RequestName,
        hostOfUpstream: @autoclosure () -> String,
        via: Bool = false, to out: inout ByteBuffer
    ) {
        out.writeRequestLine(method: plan.method, target: plan.target)
        let host = plan.hostFromTarget ?? plan.host
        var dropped = Self.notPassedOn
        if plan.isHTTP10 { dropped.insert(.expect) }
        if plan.hostFromTarget != nil || plan.host == nil {
            dropped.insert(.host)
            out.writeField("Host: ", host ?? hostOfUpstream())
        }
        let named = Named(by: head.fields, and: plan.maxForwards == nil ? nil : "max-forwards")
        out.writeFields(of: head.fields) { field, name, _ in
            guard !dropped.contains(field), named.isEmpty || !named.has(name) else { return false }
            return field != .other || identity.passes(unknown: name)
        }
        Self.writeRequestFraming(plan, head, to: &out)
        identity.write(to: &out, head: head, host: host)
        if via {
            out.writeStaticString(
                identity.transport.isHTTP2
                    ? "Via: 2.0 carillon\r\n" : plan.isHTTP10 ? "Via: 1.0 carillon\r\n" : "Via: 1.1 carillon\r\n")
        }
        out.writeStaticString("X-Request-ID: ")
        switch name {
        case .made(let id): out.write(id)
        case .given(let text): out.writeString(text)
        }
        out.writeStaticString("\r\n\r\n")
    }

    /// What a request never passes on as it came. Its length and its coding are written anew.
    static let notPassedOn = Self.connectionFields.union(BrowserIdentity.written).union([.contentLength])
    /// About one connection only (RFC 9110 section 7.6.1). `Trailer` is not: trailers are passed on.
    private static let connectionFields: KnownFields = [
        .connection, .keepAlive, .proxyConnection, .proxyAuthenticate, .proxyAuthorization, .proxyAuthenticationInfo,
        .te, .transferEncoding, .upgrade,
    ]
    private static let connectionFieldsAndLength = Self.connectionFields.union([.contentLength])

    /// The fields that `Connection` names.
    struct Named {
        private let names: [String]

        /// - Parameter another: left out as well.
        init(by fields: HeaderFields, and another: String? = nil) {
            self.names = fields.namedByConnection() + (another.map { [$0] } ?? [])
        }

        var isEmpty: Bool { self.names.isEmpty }

        func has(_ name: UnsafeRawBufferPointer) -> Bool {
            let lowered = String(decoding: name, as: UTF8.self).lowercased()
            return self.names.contains { $0.lowercased() == lowered }
        }
    }

    private static func writeRequestFraming(_ plan: RequestPlan, _ head: RequestHead, to out: inout ByteBuffer) {
        switch plan.framing {
        case .none, .untilClose: break
        case .length(let length): out.writeField("Content-Length: ", String(length))
        case .chunked: out.writeStaticString("Transfer-Encoding: chunked\r\n")
        }
        if plan.wantsWebSocket { out.writeStaticString("Connection: Upgrade\r\nUpgrade: websocket\r\n") }
        if let left = plan.maxForwards { out.writeField("Max-Forwards: ", String(left - 1)) }
        if plan.takesTrailers { out.writeStaticString("Connection: TE\r\nTE: trailers\r\n") }
    }

    /// Appends the final answer's head for the browser.
    ///
    /// - Parameter date: the time now, for an answer that does not say its own (RFC 9110 section 6.6.1).
    static func write(
        _ head: ResponseHead, plan: AnswerPlan, request: RequestPlan, date: @autoclosure () -> String,
        to out: inout ByteBuffer
    ) {
        out.writeStatusLine(head)
        // RFC 9110 section 8.6: never in a 204; and never beside a framing of ours.
        Self.writeFields(of: head, passesLength: plan.framing == .asIs && head.status != 204, to: &out)
        if !head.fields.contains(.date) { out.writeField("Date: ", date()) }
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
        Self.writeFields(of: head, passesLength: false, to: &out)
        out.writeStaticString("\r\n")
    }

    /// Appends the head of a 101 that opens a WebSocket.
    static func writeSwitch(_ head: ResponseHead, to out: inout ByteBuffer) {
        out.writeStatusLine(head)
        out.writeStaticString("Connection: Upgrade\r\nUpgrade: websocket\r\n")
        Self.writeFields(of: head, passesLength: false, to: &out)
        out.writeStaticString("\r\n")
    }

    private static func writeFields(of head: ResponseHead, passesLength: Bool, to out: inout ByteBuffer) {
        let dropped = passesLength ? Self.connectionFields : Self.connectionFieldsAndLength
        let named = Named(by: head.fields)
        out.writeFields(of: head.fields) { field, name, _ in
            !dropped.contains(field) && (named.isEmpty || !named.has(name))
        }
    }
}
