import HTTP1
import NIOCore

/// Who is at the front of one connection, and what upstreams are told about it. Made once per connection.
struct BrowserIdentity {
    let peer: Peer
    /// Whether what it says about who is behind it counts.
    let isTrusted: Bool
    /// Empty for a Unix socket, which has no address.
    let address: String
    private let trustedProxies: TrustedProxies
    /// The lines that are the same for each request of an untrusted peer.
    private let lines: ByteBuffer

    init(peer: Peer, trustedProxies: TrustedProxies) {
        self.peer = peer
        self.isTrusted = trustedProxies.trusts(peer)
        self.trustedProxies = trustedProxies
        if case .ip(let address) = peer { self.address = address.description } else { self.address = "" }
        var lines = ByteBuffer()
        if !self.address.isEmpty {
            lines.writeString("X-Forwarded-For: \(self.address)\r\nX-Real-IP: \(self.address)\r\n")
        }
        lines.writeStaticString("X-Forwarded-Proto: http\r\n")
        self.lines = lines
    }

    /// Written anew for each request: a trusted peer's with our part added.
    static let written: KnownFields = [.xForwardedFor, .xRealIP, .xForwardedProto, .xForwardedHost, .xRequestID]

    /// Whether an unknown field of the request is passed on as it came.
    func passes(unknown name: UnsafeRawBufferPointer) -> Bool {
        switch DisguisedField(name) {
        case .no: true
        case .yes: false
        case .forwarded: self.isTrusted
        }
    }

    /// Appends `X-Forwarded-For`, `-Proto`, `-Host` and `X-Real-IP`.
    func write(to out: inout ByteBuffer, head: RequestHead, host: String?) {
        if self.isTrusted {
            self.writeTrusted(to: &out, head: head, host: host)
        } else {
            out.writeImmutableBuffer(self.lines)
            if let host { out.writeField("X-Forwarded-Host: ", host) }
        }
    }

    /// The trusted peer's own words, and the peer itself added to the way the request came.
    private func writeTrusted(to out: inout ByteBuffer, head: RequestHead, host: String?) {
        let before = head.fields.values("x-forwarded-for")
        let way = before + (self.address.isEmpty ? [] : [self.address])
        if !way.isEmpty { out.writeField("X-Forwarded-For: ", way.joined(separator: ", ")) }
        let realIP = head.fields[.xRealIP]
        let client = ClientAddress(peer: self.peer, forwardedFor: before, realIP: realIP, trusted: self.trustedProxies)
        if let address = client.address { out.writeField("X-Real-IP: ", address.description) }
        out.writeField("X-Forwarded-Proto: ", head.fields[.xForwardedProto] ?? "http")
        if let host = head.fields[.xForwardedHost] ?? host { out.writeField("X-Forwarded-Host: ", host) }
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
    /// Appends one field line; `start` is its name with colon and space.
    mutating func writeField(_ start: StaticString, _ value: String) {
        self.writeStaticString(start)
        self.writeString(value)
        self.writeStaticString("\r\n")
    }
}
