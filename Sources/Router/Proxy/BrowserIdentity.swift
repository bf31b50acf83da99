import HTTP1
import NIOCore

/// Who is at the front of one connection, and what upstreams are told about it. Made once per connection.
struct BrowserIdentity {
    let peer: Peer
    /// Whether what it says about who is behind it counts.
    let isTrusted: Bool
    /// Empty for a Unix socket, which has no address.
    let address: String
    let transport: Transport
    private let trustedProxies: TrustedProxies
    /// The lines that are the same for each request of an untrusted peer, and of a trusted one that says nothing of its own.
    private let lines: ByteBuffer
    /// What of `Forwarded` is the same for each request: `for=192.0.2.7;proto=http`.
    private let forwarded: String
    /// What is said of the browser's certificate on every connection with TLS.
    private let certificateLines: ByteBuffer

    init(peer: Peer, trustedProxies: TrustedProxies, transport: Transport = Transport()) {
        self.peer = peer
        self.transport = transport
        self.isTrusted = trustedProxies.trusts(peer)
        self.trustedProxies = trustedProxies
        if case .ip(let address) = peer { self.address = address.description } else { self.address = "" }
        var lines = ByteBuffer()
        if !self.address.isEmpty {
            lines.writeString("X-Forwarded-For: \(self.address)\r\nX-Real-IP: \(self.address)\r\n")
        }
        lines.writeString("X-Forwarded-Proto: \(transport.scheme)\r\n")
        self.lines = lines
        // RFC 7239 section 6: IPv6 addresses in brackets and quotes.
        let name = self.address.isEmpty ? "unknown" : self.address
        self.forwarded = "for=\(name.contains(":") ? "\"[\(name)]\"" : name);proto=\(transport.scheme)"
        self.certificateLines = transport.certificate.map { ByteBuffer(certificate: $0) } ?? ByteBuffer()
    }

    /// Written anew for each request: a trusted peer's with our part added.
    static let written: KnownFields = [
        .forwarded, .xForwardedFor, .xRealIP, .xForwardedProto, .xForwardedHost, .xRequestID,
    ]

    /// What a trusted peer may say about who is behind it.
    private static let saidByTrusted: KnownFields = [
        .forwarded, .xForwardedFor, .xRealIP, .xForwardedProto, .xForwardedHost,
    ]

    /// Whether an unknown field of the request is passed on as it came.
    func passes(unknown name: UnsafeRawBufferPointer) -> Bool {
        switch DisguisedField(name) {
        case .no: true
        case .yes: false
        case .forwarded: self.isTrusted
        // Where we have seen the certificate, or that there is none, nobody else's word counts.
        case .certificate: self.isTrusted && !self.transport.isSecure
        }
    }

    /// Appends `X-Forwarded-For`, `-Proto`, `-Host`, `X-Real-IP`, `Forwarded`, and what there is to say of a certificate.
    func write(to out: inout ByteBuffer, head: RequestHead, host: String?) {
        if self.certificateLines.readableBytes > 0 { out.writeImmutableBuffer(self.certificateLines) }
        if self.isTrusted, !head.fields.hasNone(of: Self.saidByTrusted) {
            self.writeTrusted(to: &out, head: head, host: host)
        } else {
            out.writeImmutableBuffer(self.lines)
            if let host { out.writeField("X-Forwarded-Host: ", host) }
            out.writeStaticString("Forwarded: ")
            self.writeForwarded(to: &out, host: host)
        }
    }

    /// This proxy's element of `Forwarded` (RFC 7239 section 4), and the line's end.
    private func writeForwarded(to out: inout ByteBuffer, host: String?) {
        out.writeString(self.forwarded)
        if let host {
            // A host that was taken has no byte that would have to be escaped; but what is no token must be quoted.
            let isToken = host.utf8.allSatisfy { $0 != UInt8(ascii: ":") && $0 != UInt8(ascii: "[") }
            out.writeStaticString(isToken && !host.isEmpty ? ";host=" : ";host=\"")
            out.writeString(host)
            if !isToken || host.isEmpty { out.writeStaticString("\"") }
        }
        out.writeStaticString("\r\n")
    }

    /// The trusted peer's own words, and the peer itself added to the way the request came.
    private func writeTrusted(to out: inout ByteBuffer, head: RequestHead, host: String?) {
        let before = head.fields.values("x-forwarded-for")
        let way = before + (self.address.isEmpty ? [] : [self.address])
        if !way.isEmpty { out.writeField("X-Forwarded-For: ", way.joined(separator: ", ")) }
        let realIP = head.fields[.xRealIP]
        let client = ClientAddress(peer: self.peer, forwardedFor: before, realIP: realIP, trusted: self.trustedProxies)
        if let address = client.address { out.writeField("X-Real-IP: ", address.description) }
        out.writeField("X-Forwarded-Proto: ", head.fields[.xForwardedProto] ?? "\(self.transport.scheme)")
        if let host = head.fields[.xForwardedHost] ?? host { out.writeField("X-Forwarded-Host: ", host) }
        out.writeStaticString("Forwarded: ")
        for element in head.fields.values("forwarded") where !element.isEmpty {
            out.writeString(element)
            out.writeStaticString(", ")
        }
        self.writeForwarded(to: &out, host: host)
    }

    /// Where a request comes from, as far as it is known: behind a trusted proxy, or the peer itself.
    func client(_ head: RequestHead) -> String {
        guard self.isTrusted else { return self.address }
        return self.clientAddress(head).address?.description ?? self.address
    }

    /// Whether the person who asks sits on this host; told of as little as a broken head, the peer is all that counts.
    func isOnThisHost(_ head: RequestHead?) -> Bool { self.clientAddress(head).isOnThisHost(head?.fields) }

    private func clientAddress(_ head: RequestHead?) -> ClientAddress {
        ClientAddress(
            peer: self.peer, forwardedFor: head?.fields.values("x-forwarded-for") ?? [],
            realIP: head?.fields[.xRealIP], trusted: self.trustedProxies)
    }

    /// The request's identifier: a trusted peer's own, if it is short and plain, otherwise `made`.
    func requestID(_ head: RequestHead, made: @autoclosure () -> RequestID) -> RequestName {
        if self.isTrusted, let given = head.fields[.xRequestID], RequestName.isPlain(given) { return .given(given) }
        return .made(made())
    }
}

/// A request's name, ours or the one it came with.
enum RequestName: CustomStringConvertible {
    case made(RequestID)
    case given(String)

    /// 1 to 128 letters, digits and `-_.:/+=@`.
    static func isPlain(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "-_.:/+=@".utf8.contains($0)
                }
            }
    }

    var description: String {
        switch self {
        case .made(let id): id.description
        case .given(let text): text
        }
    }
}

extension ByteBuffer {
    /// The fields that tell of a browser's certificate.
    fileprivate init(certificate facts: CertificateFacts) {
        self.init()
        self.writeString("X-SSL-Client-Verify: \(facts.verdict)\r\n")
        guard let certificate = facts.certificate else { return }
        // Names may hold anything; as fields of our own making they stay on their lines.
        self.writeFields(
            HeaderFields([
                ("X-SSL-Client-S-DN", certificate.subject), ("X-SSL-Client-I-DN", certificate.issuer),
                ("X-SSL-Client-CN", certificate.commonName ?? ""), ("X-SSL-Client-Serial", certificate.serial),
                ("X-SSL-Client-Fingerprint", certificate.fingerprint), ("Client-Cert", ":\(certificate.encoded):"),
            ]))
    }

    /// Appends one field line; `start` is its name with colon and space.
    mutating func writeField(_ start: StaticString, _ value: String) {
        self.writeStaticString(start)
        self.writeString(value)
        self.writeStaticString("\r\n")
    }
}
