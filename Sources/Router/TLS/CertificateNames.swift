import Crypto
import HTTP1
import NIOCore
import NIOSSL
import SwiftASN1
import X509

/// What certificates say, read with a parser and never searched in as text.
enum CertificateNames {
    /// The hosts a server's certificate is for: its alternative names, or its common name when it has none.
    static func hosts(of certificate: NIOSSLCertificate) -> [HostPattern] {
        guard let parsed = Self.parsed(certificate) else { return [] }
        let names = (try? parsed.extensions.subjectAlternativeNames) ?? nil
        let hosts = names?.compactMap { name -> HostPattern? in
            if case .dnsName(let text) = name { HostPattern(text) } else { nil }
        }
        if let hosts, !hosts.isEmpty { return hosts }
        return Self.commonName(parsed.subject).flatMap { HostPattern($0) }.map { [$0] } ?? []
    }

    /// What is told of a browser's certificate; `nil` when it cannot be understood.
    static func facts(of certificate: NIOSSLCertificate) -> CertificateFacts.Certificate? {
        guard let bytes = try? certificate.toDERBytes(), let parsed = Self.parsed(certificate) else { return nil }
        return CertificateFacts.Certificate(
            subject: parsed.subject.description, issuer: parsed.issuer.description,
            commonName: Self.commonName(parsed.subject), serial: Self.hex(parsed.serialNumber.bytes, capitals: true),
            fingerprint: Self.hex(SHA256.hash(data: bytes)), encoded: Base64.encode(ByteBuffer(bytes: bytes)))
    }

    private static func parsed(_ certificate: NIOSSLCertificate) -> Certificate? {
        guard let bytes = try? certificate.toDERBytes() else { return nil }
        return try? Certificate(derEncoded: bytes)
    }

    private static func commonName(_ name: DistinguishedName) -> String? {
        for part in name {
            for attribute in part where attribute.type == .RDNAttributeType.commonName {
                return String(attribute.value) ?? attribute.value.description
            }
        }
        return nil
    }

    private static func hex(_ bytes: some Sequence<UInt8>, capitals: Bool = false) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16, uppercase: capitals)
            return byte < 16 ? "0" + digits : digits
        }.joined()
    }
}
