import NIOSSL
import Synchronization

/// How `https` upstreams are spoken to: whom they must prove to be, and who we are.
package final class UpstreamTLS: Sendable {
    package struct Options: Sendable, Equatable {
        /// A PEM file of the certificates that are believed; `nil` for the system's.
        package var authorities: String?
        /// `false` takes any certificate: for tests, and for ways that nobody else can reach.
        package var verifies = true
        /// PEM files of our certificate (with what it was issued by) and its key.
        package var certificate: String?
        package var key: String?
        /// The name upstreams must have a certificate for, and that is asked for (SNI); `nil` for the address' host.
        package var serverName: String?

        package init() {}
    }

    private let options: Options
    private let context = Mutex<NIOSSLContext?>(nil)

    /// Nothing is read before the first connection, or `load`.
    package init(_ options: Options = Options()) {
        self.options = options
    }

    /// Reads the files.
    ///
    /// - Throws: what is wrong with them.
    package func load() throws { _ = try self.loaded() }

    /// The handler for a connection to `host`.
    func handler(host: String) throws -> NIOSSLClientHandler {
        let context = try self.loaded()
        do {
            return try NIOSSLClientHandler(context: context, serverHostname: self.options.serverName ?? host)
        } catch let error as NIOSSLExtraError where error == .cannotUseIPAddressInSNI {
            // An address cannot be asked for by name; the certificate is checked for it all the same.
            return try NIOSSLClientHandler(context: context, serverHostname: nil)
        }
    }

    private func loaded() throws -> NIOSSLContext {
        try self.context.withLock { context in
            if let context { return context }
            let made = try Self.make(self.options)
            context = made
            return made
        }
    }

    private static func make(_ options: Options) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.certificateVerification = options.verifies ? .fullVerification : .none
        if let authorities = options.authorities {
            configuration.trustRoots = .certificates(try Self.read(authorities, NIOSSLCertificate.fromPEMFile))
        }
        if let certificate = options.certificate, let key = options.key {
            configuration.certificateChain = try Self.read(certificate, NIOSSLCertificate.fromPEMFile)
                .map { .certificate($0) }
            configuration.privateKey = .privateKey(try Self.read(key) { try NIOSSLPrivateKey(file: $0, format: .pem) })
        }
        return try NIOSSLContext(configuration: configuration)
    }

    private static func read<Value>(_ path: String, _ read: (String) throws -> Value) throws -> Value {
        do {
            return try read(path)
        } catch {
            throw UpstreamFileError(path: path, problem: "\(error)")
        }
    }
}

/// A file for speaking TLS with upstreams that cannot be used.
package struct UpstreamFileError: Error, CustomStringConvertible, Sendable {
    package var path: String
    package var problem: String

    package var description: String { "\(self.path) cannot be used (\(self.problem)): wanted a readable PEM file" }
}
