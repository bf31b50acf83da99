import Glibc
import HTTP1

/// Unknown field names that an application may take for one of the proxy's own.
enum DisguisedField {
    case no
    /// `X_Forwarded_For` and the like: CGI-like applications see `_` and `-` as one (`HTTP_X_FORWARDED_FOR`), so a browser must
    /// not get past the proxy by the other spelling. And `Proxy`, which would become `HTTP_PROXY` and send the
    /// application's own requests through a stranger.
    case yes
    /// `X-Forwarded-Prefix`, `-Port` and others that tell of a proxy: believed from trusted ones.
    case forwarded
    /// `X-SSL-Client-…` and `Client-Cert` (RFC 9440): what a proxy has seen of the browser's certificate.
    case certificate

    private static let owned: KnownFields = [
        .host, .contentLength, .transferEncoding, .connection, .upgrade, .te, .expect, .keepAlive, .proxyConnection,
        .forwarded, .xForwardedFor, .xForwardedHost, .xForwardedProto, .xRealIP, .xRequestID,
    ]
    private static let longest = 64

    /// - Parameter name: of a field that is not known.
    init(_ name: UnsafeRawBufferPointer) {
        self = .no
        guard let base = name.baseAddress, let first = name.first else { return }
        // Most names are let go here, after one or two comparisons.
        let hasLowLine = memchr(base, CInt(UInt8(ascii: "_")), name.count) != nil
        guard hasLowLine || first | 0x20 == UInt8(ascii: "x") || name.count == 5 || first | 0x20 == UInt8(ascii: "c")
        else { return }
        guard name.count <= Self.longest else { return }
        withUnsafeTemporaryAllocation(byteCount: Self.longest, alignment: 8) { plain in
            for (index, byte) in name.enumerated() {
                plain[index] = byte == UInt8(ascii: "_") ? UInt8(ascii: "-") : byte | 0x20
            }
            let plain = UnsafeRawBufferPointer(rebasing: plain[..<name.count])
            if Self.owned.contains(KnownField(plain)) || plain.elementsEqual("proxy".utf8) {
                self = .yes
            } else if plain.starts(with: "x-forwarded-".utf8) {
                self = .forwarded
            } else if plain.starts(with: "x-ssl-".utf8) || plain.starts(with: "client-cert".utf8) {
                self = .certificate
            }
        }
    }
}
