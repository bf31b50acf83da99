/// How a browser's requests come.
struct Transport: Sendable {
    /// With TLS, to this router.
    var isSecure = false
    var isHTTP2 = false
    /// What TLS has proved of the browser; `nil` without TLS.
    var certificate: CertificateFacts?
    /// What the handshake has settled; `nil` without TLS.
    var tls: TLSSession?

    var scheme: StaticString { self.isSecure ? "https" : "http" }
}

/// What upstreams are told of a browser's certificate.
struct CertificateFacts: Sendable, Equatable {
    /// `nil` when the browser has shown none.
    var certificate: Certificate?

    struct Certificate: Sendable, Equatable {
        /// As RFC 4514 writes names: `CN=client.example,O=Example`.
        var subject: String
        var issuer: String
        /// The subject's common name, when it has one.
        var commonName: String?
        /// Hexadecimal digits in capitals.
        var serial: String
        /// SHA-256 of the certificate, in hexadecimal digits.
        var fingerprint: String
        /// The certificate, DER in base64.
        var encoded: String
    }

    /// `SUCCESS` or `NONE`: a browser with a certificate that is not valid is never let in.
    var verdict: StaticString { self.certificate == nil ? "NONE" : "SUCCESS" }
}
