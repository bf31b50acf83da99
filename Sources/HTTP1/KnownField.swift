/// Fields that parsers, proxies and gateways look for. They are told apart once, while the head is read; afterwards a
/// look-up compares one byte a field, and a field that is not there costs nothing.
package enum KnownField: UInt8, Sendable, CaseIterable {
    /// Any other name.
    case other
    // What frames and routes a message.
    case host, contentLength, transferEncoding, connection, upgrade, te, trailer, expect
    // What is about one connection only, beside the above.
    case keepAlive, proxyConnection, proxyAuthenticate, proxyAuthorization, proxyAuthenticationInfo
    // What says who is in front of a proxy.
    case forwarded, xForwardedFor, xForwardedHost, xForwardedProto, xRealIP, xRequestID
    // What a gateway or worker asks for.
    case accept, authorization, cookie, origin, userAgent, lastEventID, contentType, xAPIKey
    case webSocketKey, webSocketVersion, webSocketProtocol, webSocketExtensions
    // What must not come after a body.
    case setCookie, contentEncoding, contentRange, cacheControl
    // What a proxy adds to an answer that has none.
    case date

    /// In lower case; empty for `other`.
    package var name: StaticString {
        switch self {
        case .other: ""
        case .host: "host"
        case .contentLength: "content-length"
        case .transferEncoding: "transfer-encoding"
        case .connection: "connection"
        case .upgrade: "upgrade"
        case .te: "te"
        case .trailer: "trailer"
        case .expect: "expect"
        case .keepAlive: "keep-alive"
        case .proxyConnection: "proxy-connection"
        case .proxyAuthenticate: "proxy-authenticate"
        case .proxyAuthorization: "proxy-authorization"
        case .proxyAuthenticationInfo: "proxy-authentication-info"
        case .forwarded: "forwarded"
        case .xForwardedFor: "x-forwarded-for"
        case .xForwardedHost: "x-forwarded-host"
        case .xForwardedProto: "x-forwarded-proto"
        case .xRealIP: "x-real-ip"
        case .xRequestID: "x-request-id"
        case .accept: "accept"
        case .authorization: "authorization"
        case .cookie: "cookie"
        case .origin: "origin"
        case .userAgent: "user-agent"
        case .lastEventID: "last-event-id"
        case .contentType: "content-type"
        case .xAPIKey: "x-api-key"
        case .webSocketKey: "sec-websocket-key"
        case .webSocketVersion: "sec-websocket-version"
        case .webSocketProtocol: "sec-websocket-protocol"
        case .webSocketExtensions: "sec-websocket-extensions"
        case .setCookie: "set-cookie"
        case .contentEncoding: "content-encoding"
        case .contentRange: "content-range"
        case .cacheControl: "cache-control"
        case .date: "date"
        }
    }

    /// Tells a field from its name, without regard to case.
    package init(_ name: UnsafeRawBufferPointer) {
        guard let base = name.baseAddress else {
            self = .other
            return
        }
        self = Self.candidates(base, name.count)
    }

    package init(_ name: String) {
        var name = name
        self = name.withUTF8 { KnownField(UnsafeRawBufferPointer($0)) }
    }

    /// The names of this length whose one letter that tells them apart is right; then the whole name decides.
    private static func candidates(_ name: UnsafeRawPointer, _ count: Int) -> KnownField {
        func letter(_ index: Int) -> UInt8 { name.load(fromByteOffset: index, as: UInt8.self) | 0x20 }
        let field: KnownField
        switch count {
        case 2: field = .te
        case 4: field = letter(0) == UInt8(ascii: "h") ? .host : .date
        case 6:
            switch letter(0) {
            case UInt8(ascii: "c"): field = .cookie
            case UInt8(ascii: "o"): field = .origin
            case UInt8(ascii: "a"): field = .accept
            default: field = .expect
            }
        case 7: field = letter(0) == UInt8(ascii: "u") ? .upgrade : .trailer
        case 9:
            switch letter(2) {
            case UInt8(ascii: "r"): field = letter(0) == UInt8(ascii: "x") ? .xRealIP : .forwarded
            default: field = .xAPIKey
            }
        case 10:
            switch letter(0) {
            case UInt8(ascii: "c"): field = .connection
            case UInt8(ascii: "u"): field = .userAgent
            case UInt8(ascii: "k"): field = .keepAlive
            default: field = .setCookie
            }
        case 12: field = letter(0) == UInt8(ascii: "c") ? .contentType : .xRequestID
        case 13:
            switch letter(1) {
            case UInt8(ascii: "u"): field = .authorization
            case UInt8(ascii: "o"): field = .contentRange
            default: field = letter(0) == UInt8(ascii: "l") ? .lastEventID : .cacheControl
            }
        case 14: field = .contentLength
        case 15: field = .xForwardedFor
        case 16:
            switch letter(0) {
            case UInt8(ascii: "x"): field = .xForwardedHost
            case UInt8(ascii: "c"): field = .contentEncoding
            default: field = .proxyConnection
            }
        case 17:
            switch letter(0) {
            case UInt8(ascii: "t"): field = .transferEncoding
            case UInt8(ascii: "x"): field = .xForwardedProto
            default: field = .webSocketKey
            }
        case 18: field = .proxyAuthenticate
        case 19: field = .proxyAuthorization
        case 21: field = .webSocketVersion
        case 22: field = .webSocketProtocol
        case 24: field = .webSocketExtensions
        case 25: field = .proxyAuthenticationInfo
        default: return .other
        }
        return Self.isSame(name, field.name, count) ? field : .other
    }

    /// All letters and hyphens have bit 0x20 set in lower case, and no other character of a token becomes one by it.
    private static func isSame(_ name: UnsafeRawPointer, _ lowered: StaticString, _ count: Int) -> Bool {
        guard lowered.utf8CodeUnitCount == count else { return false }
        let wanted = UnsafeRawPointer(lowered.utf8Start)
        if count < 8 {
            for index in 0..<count {
                let byte = name.load(fromByteOffset: index, as: UInt8.self) | 0x20
                guard byte == wanted.load(fromByteOffset: index, as: UInt8.self) else { return false }
            }
            return true
        }
        // The last eight bytes overlap what has been compared already.
        var index = 0
        while true {
            let word = (name + index).loadUnaligned(as: UInt64.self) | 0x2020_2020_2020_2020
            guard word == (wanted + index).loadUnaligned(as: UInt64.self) else { return false }
            guard index &+ 8 < count else { return true }
            index = min(index &+ 8, count &- 8)
        }
    }
}

/// A set of known fields.
package struct KnownFields: Sendable, Hashable, ExpressibleByArrayLiteral {
    private var bits: UInt64 = 0

    package init() {}

    package init(arrayLiteral fields: KnownField...) {
        for field in fields { self.insert(field) }
    }

    @inline(__always)
    package func contains(_ field: KnownField) -> Bool { self.bits & (1 &<< UInt64(field.rawValue)) != 0 }

    @inline(__always)
    package mutating func insert(_ field: KnownField) { self.bits |= 1 &<< UInt64(field.rawValue) }

    package mutating func remove(_ field: KnownField) { self.bits &= ~(1 &<< UInt64(field.rawValue)) }

    package var isEmpty: Bool { self.bits == 0 }

    package func union(_ other: KnownFields) -> KnownFields {
        var union = self
        union.bits |= other.bits
        return union
    }

    package func isDisjoint(with other: KnownFields) -> Bool { self.bits & other.bits == 0 }

    /// About one connection only, never passed on by a proxy (RFC 9110 section 7.6.1). `Transfer-Encoding` and `Trailer`
    /// too: the proxy frames anew.
    package static let hopByHop: KnownFields = [
        .connection, .keepAlive, .proxyConnection, .proxyAuthenticate, .proxyAuthorization, .proxyAuthenticationInfo,
        .te, .trailer, .transferEncoding, .upgrade,
    ]
}
