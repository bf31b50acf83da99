package import Settings

/// The settings of TLS towards browsers.
package enum RouterTLSSettings {
    package static let certificates = StructuredSetting(
        "router.tls.certificates",
        wanted: "a list of certificates, [ { \"certificate\": \"/PATH\", \"key\": \"/PATH\" } ]",
        help: """
            The certificates for https:// in router.listen: PEM files of the certificate (with what it was issued by) and its \
            key. hosts says for which hosts, otherwise its own names; the first one is for all others. With client_ca browsers \
            are asked for a certificate of these authorities. SIGHUP reads the files anew.
            """,
        example: """
            [ { "certificate": "/etc/carillon/tls/example.org.pem", "key": "/etc/carillon/tls/example.org.key" },
              { "certificate": "/etc/carillon/tls/intern.pem", "key": "/etc/carillon/tls/intern.key",
                "hosts": ["intern.example.org"], "client_ca": "/etc/carillon/tls/people-ca.pem" } ]
            """)
    package static let minimumVersion = Setting(
        "router.tls.minimum_version", default: RouterTLS.Version.tls12,
        help: "The oldest version of TLS that browsers may speak.")
    package static let http2 = Setting(
        "router.tls.http2", default: true, help: "Whether browsers may speak HTTP/2 where there is TLS.")

    package static let all: [any AnySetting] = [certificates, minimumVersion, http2]
}

extension RouterTLS {
    /// - Parameter isNeeded: one of the addresses to listen on is for TLS.
    init(reading reader: SettingsReader, isNeeded: Bool) {
        self.init()
        self.minimumVersion = reader.value(RouterTLSSettings.minimumVersion)
        self.offersHTTP2 = reader.value(RouterTLSSettings.http2)
        let nodes = reader.node(RouterTLSSettings.certificates)?.elements(limit: 1_000) ?? []
        self.identities = nodes.compactMap { Identity(reading: $0) }
        if isNeeded, nodes.isEmpty {
            reader.fault(
                RouterTLSSettings.certificates,
                "is missing: wanted a certificate and its key, for https:// in router.listen")
        }
    }
}

extension RouterTLS.Identity {
    init?(reading node: SettingsNode) {
        guard node.allow(["certificate", "key", "hosts", "client_ca"]) else { return nil }
        let path = SettingKind<String>.string("the path of a PEM file")
        let certificate = node.required("certificate", path)
        let key = node.required("key", path)
        let wanted = "a host, such as \"example.org\" or \"*.example.org\""
        let hosts = node.elements("hosts").compactMap { element in
            element.read(
                SettingKind<String>.string(wanted).converted {
                    guard let pattern = HostPattern($0) else { throw SettingMismatch(wanted: wanted) }
                    return pattern
                } back: {
                    $0.description
                })
        }
        guard let certificate, let key else { return nil }
        self.init(
            certificate: certificate, key: key, hosts: hosts, clientAuthorities: node.optional("client_ca", path))
    }
}
