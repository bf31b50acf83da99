import Glibc
import NIOSSL

/// What is in the files of `RouterTLS`, ready for handshakes. Connections keep the one they began with.
final class TLSContexts: Sendable {
    struct Identity: Sendable {
        var context: NIOSSLContext
        var hosts: [HostPattern]
        /// Browsers are asked who they are.
        var asksForCertificates: Bool
    }

    private let identities: [Identity]
    /// What is no reason not to serve: certificates that are out of date.
    let warnings: [String]

    /// Reads all files.
    ///
    /// - Throws: all that is wrong with them.
    init(_ tls: RouterTLS, now: Int = time(nil)) throws(RouterFileError) {
        var identities: [Identity] = []
        var (problems, warnings) = ([String](), [String]())
        for files in tls.identities {
            var reading = IdentityReading(files, tls, now: now)
            if let identity = reading.read() { identities.append(identity) }
            problems += reading.problems
            warnings += reading.warnings
        }
        guard problems.isEmpty else { throw RouterFileError(problems) }
        self.identities = identities
        self.warnings = warnings
    }

    /// The identity for a host, in whatever case: one that names it, else one for a domain it is in, else the first.
    func index(of host: String) -> Int {
        let host = HostPattern.name(of: host)
        let exact = self.identities.firstIndex { $0.hosts.contains(.host(host)) }
        return exact ?? self.identities.firstIndex { $0.hosts.contains { Self.covers($0, host) } } ?? 0
    }

    /// A name with a star covers one label only (RFC 9525 section 6.3).
    private static func covers(_ pattern: HostPattern, _ host: String) -> Bool {
        guard case .below(let end) = pattern, pattern.matches(host) else { return false }
        return !host.utf8.dropLast(end.utf8.count).contains(UInt8(ascii: "."))
    }

    func context(_ index: Int) -> NIOSSLContext? {
        self.identities.indices.contains(index) ? self.identities[index].context : nil
    }

    func asksForCertificates(_ index: Int) -> Bool {
        self.identities.indices.contains(index) && self.identities[index].asksForCertificates
    }
}

/// The reading of one identity's files: what can be used, and everything that is wrong.
private struct IdentityReading {
    private let files: RouterTLS.Identity
    private let tls: RouterTLS
    private let now: Int
    private(set) var problems: [String] = []
    private(set) var warnings: [String] = []

    init(_ files: RouterTLS.Identity, _ tls: RouterTLS, now: Int) {
        self.files = files
        self.tls = tls
        self.now = now
    }

    mutating func read() -> TLSContexts.Identity? {
        let chain = self.certificates(self.files.certificate)
        let key = self.privateKey()
        let authorities = self.files.clientAuthorities.map { self.certificates($0) ?? [] }
        guard let chain, let own = chain.first, let key, self.problems.isEmpty else { return nil }
        self.checkDates(own)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = self.tls.minimumVersion == .tls13 ? .tlsv13 : .tlsv12
        configuration.applicationProtocols = self.tls.offersHTTP2 ? ["h2", "http/1.1"] : ["http/1.1"]
        if let authorities {
            configuration.certificateVerification = .optionalVerification
            configuration.trustRoots = .certificates(authorities)
            configuration.sendCANameList = true
        }
        do {
            return TLSContexts.Identity(
                context: try NIOSSLContext(configuration: configuration),
                hosts: self.files.hosts.isEmpty ? CertificateNames.hosts(of: own) : self.files.hosts,
                asksForCertificates: authorities != nil)
        } catch {
            self.problems.append(
                "\(self.files.key) is not the key of \(self.files.certificate), or of a kind that cannot be used "
                    + "(\(error)): wanted the private key that the certificate was made for")
            return nil
        }
    }

    private mutating func certificates(_ path: String) -> [NIOSSLCertificate]? {
        guard self.isReadable(path) else { return nil }
        guard let chain = try? NIOSSLCertificate.fromPEMFile(path), !chain.isEmpty else {
            self.problems.append("\(path) has no certificate: wanted PEM, with -----BEGIN CERTIFICATE-----")
            return nil
        }
        return chain
    }

    private mutating func privateKey() -> NIOSSLPrivateKey? {
        guard self.isReadable(self.files.key) else { return nil }
        guard let key = try? NIOSSLPrivateKey(file: self.files.key, format: .pem) else {
            self.problems.append(
                "\(self.files.key) has no private key without a password: wanted PEM, with -----BEGIN PRIVATE KEY-----")
            return nil
        }
        return key
    }

    private mutating func isReadable(_ path: String) -> Bool {
        guard access(path, R_OK) != 0 else { return true }
        self.problems.append("\(path) cannot be read: \(ListeningSocket.errorText(errno))")
        return false
    }

    private mutating func checkDates(_ certificate: NIOSSLCertificate) {
        let day = 86_400
        if certificate.notValidAfter < self.now {
            self.warnings.append(
                "\(self.files.certificate) has been out of date for \((self.now - certificate.notValidAfter) / day) days: "
                    + "wanted a certificate that is valid")
        } else if certificate.notValidBefore > self.now {
            self.warnings.append(
                "\(self.files.certificate) is not valid before \((certificate.notValidBefore - self.now) / day) more days"
            )
        }
    }
}
