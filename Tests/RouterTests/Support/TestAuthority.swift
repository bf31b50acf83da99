import Crypto
import Foundation
import SwiftASN1
import X509

/// A certificate authority for the time of a test, and the files of those it believes in.
struct TestAuthority {
    /// A certificate and its key, as PEM files.
    struct Files: Sendable {
        var certificate: String
        var key: String
    }

    let folder: URL
    /// The authority's own certificate, as a PEM file.
    let file: String
    private let name: DistinguishedName
    private let key = P256.Signing.PrivateKey()

    /// - Parameter folder: exists, and is removed by its owner.
    init(_ commonName: String, in folder: URL) throws {
        self.folder = folder
        self.name = try DistinguishedName { CommonName(commonName) }
        self.file = folder.appending(path: "\(commonName).pem").path
        let certificate = try Certificate(
            version: .v3, serialNumber: .init(), publicKey: .init(self.key.publicKey),
            notValidBefore: .now - 3_600, notValidAfter: .now + 3_600, issuer: self.name, subject: self.name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try .init {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                Critical(KeyUsage(keyCertSign: true))
            }, issuerPrivateKey: .init(self.key))
        try certificate.serializeAsPEM().pemString.write(toFile: self.file, atomically: true, encoding: .utf8)
    }

    /// - Parameters:
    ///   - hosts: what a server is called; none for a client.
    ///   - days: from now, in which it is valid.
    ///   - file: the files' name, for one that is to be replaced.
    func issue(
        _ commonName: String, hosts: [String] = [], days: ClosedRange<Double> = -1...1, file: String? = nil
    ) throws -> Files {
        let key = P256.Signing.PrivateKey()
        let certificate = try Certificate(
            version: .v3, serialNumber: .init(), publicKey: .init(key.publicKey),
            notValidBefore: .now + days.lowerBound * 86_400, notValidAfter: .now + days.upperBound * 86_400,
            issuer: self.name,
            subject: try DistinguishedName {
                CountryName("XX")
                OrganizationName("Lab, Org")
                CommonName(commonName)
            },
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try .init {
                Critical(BasicConstraints.notCertificateAuthority)
                try ExtendedKeyUsage([hosts.isEmpty ? .clientAuth : .serverAuth])
                if !hosts.isEmpty { SubjectAlternativeNames(hosts.map { .dnsName($0) }) }
            }, issuerPrivateKey: .init(self.key))
        let path = self.folder.appending(path: file ?? commonName).path
        let files = Files(certificate: path + ".crt", key: path + ".key")
        try certificate.serializeAsPEM().pemString.write(toFile: files.certificate, atomically: true, encoding: .utf8)
        try key.pemRepresentation.write(toFile: files.key, atomically: true, encoding: .utf8)
        return files
    }
}
