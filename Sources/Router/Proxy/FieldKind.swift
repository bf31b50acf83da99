/// What the proxy does with a field, told from its name.
///
/// Case does not count, and `_` counts as `-`: applications see both as one (`HTTP_X_FORWARDED_FOR`), so a browser must not
/// get past the proxy by the other spelling.
enum FieldKind {
    /// The peers' business: passed on byte for byte.
    case other
    /// About this connection only (RFC 9110 section 7.6.1): never passed on.
    case connection
    /// Says how long the body is.
    case contentLength
    case host, expect
    /// Says who is behind a proxy: believed from trusted proxies only.
    case forwardedFor, forwardedProto, forwardedHost, realIP, requestID, otherForwarded
    /// `Proxy` would become `HTTP_PROXY` in a CGI-like application and send its own requests through a stranger.
    case proxy

    init(_ name: UnsafeRawBufferPointer) {
        self = .other
        switch name.count {
        case 2 where Self.isSame(name, "te"): self = .connection
        case 4 where Self.isSame(name, "host"): self = .host
        case 5 where Self.isSame(name, "proxy"): self = .proxy
        case 6 where Self.isSame(name, "expect"): self = .expect
        case 7 where Self.isSame(name, "upgrade"): self = .connection
        case 9:
            if Self.isSame(name, "x-real-ip") { self = .realIP }
            if Self.isSame(name, "forwarded") { self = .otherForwarded }
        case 10 where Self.isSame(name, "connection") || Self.isSame(name, "keep-alive"): self = .connection
        case 12 where Self.isSame(name, "x-request-id"): self = .requestID
        case 14 where Self.isSame(name, "content-length"): self = .contentLength
        case 15 where Self.isSame(name, "x-forwarded-for"): self = .forwardedFor
        case 16:
            if Self.isSame(name, "proxy-connection") { self = .connection }
            if Self.isSame(name, "x-forwarded-host") { self = .forwardedHost }
        case 17:
            if Self.isSame(name, "transfer-encoding") { self = .connection }
            if Self.isSame(name, "x-forwarded-proto") { self = .forwardedProto }
        default: break
        }
        if case .other = self, name.count > 12,
            Self.isSame(UnsafeRawBufferPointer(rebasing: name[..<12]), "x-forwarded-")
        {
            self = .otherForwarded
        }
    }

    /// - Parameter wanted: lower case, with `-`, as long as `name`.
    private static func isSame(_ name: UnsafeRawBufferPointer, _ wanted: StaticString) -> Bool {
        guard name.count == wanted.utf8CodeUnitCount else { return false }
        let text = wanted.utf8Start
        for index in 0..<name.count {
            var byte = name[index]
            if byte &- 0x41 < 26 { byte |= 0x20 }
            if byte == UInt8(ascii: "_") { byte = UInt8(ascii: "-") }
            guard byte == text[index] else { return false }
        }
        return true
    }
}
