/// How browsers are spoken to with TLS: the files, which are read when the router starts and on SIGHUP.
package struct RouterTLS: Sendable, Equatable {
    /// One certificate, and the hosts it is shown for.
    package struct Identity: Sendable, Equatable {
        /// A PEM file: our certificate, and after it what it was issued by.
        package var certificate: String
        /// A PEM file with its private key.
        package var key: String
        /// Empty: the names in the certificate.
        package var hosts: [HostPattern]
        /// A PEM file of those whose client certificates are believed; `nil` asks for none.
        package var clientAuthorities: String?

        package init(certificate: String, key: String, hosts: [HostPattern] = [], clientAuthorities: String? = nil) {
            self.certificate = certificate
            self.key = key
            self.hosts = hosts
            self.clientAuthorities = clientAuthorities
        }
    }

    package enum Version: String, Sendable, CaseIterable {
        case tls12 = "1.2"
        case tls13 = "1.3"
    }

    /// The first one is for browsers that name no host, or one that nobody has.
    package var identities: [Identity] = []
    package var minimumVersion = Version.tls12
    /// Whether browsers may choose HTTP/2 (ALPN, RFC 7301).
    package var offersHTTP2 = true

    package init() {}
}

/// Files that TLS needs and that cannot be used: all of them.
package struct RouterFileError: Error, CustomStringConvertible, Sendable {
    package var problems: [String]

    package init(_ problems: [String]) { self.problems = problems }

    package var description: String { self.problems.joined(separator: "\n  ") }
}
