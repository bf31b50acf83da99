import NIOCore
import NIOPosix
import NIOSSL

/// Opens channels to servers: TCP, Unix sockets, TLS.
struct RedisTransport {
    let eventLoop: any EventLoop
    let connectLimit: TimeAmount
    /// The setting that errors name.
    let setting: String
    /// Connections are for writing to a master only.
    let needsMaster: Bool

    /// Opens a connection; nothing is sent yet. `done` is called once, on the event loop.
    func open(
        _ address: RedisEndpoint.Address, _ tls: NIOSSLContext?,
        _ done: @escaping (Result<RedisConnection, RedisError>) -> Void
    ) {
        let place = "\(address) (\(self.setting))"
        let (serverName, needsMaster) = (Self.serverName(of: address), self.needsMaster)
        let bootstrap = ClientBootstrap(group: self.eventLoop)
            .connectTimeout(self.connectLimit)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 65_536))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: tls, serverHostname: serverName))
                    }
                    try channel.pipeline.syncOperations.addHandler(
                        RedisConnection(place: place, needsMaster: needsMaster))
                }
            }
        let channel =
            switch address {
            case .tcp(let host, let port): bootstrap.connect(host: host, port: port)
            case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
            }
        channel.assumeIsolated().whenComplete { result in
            done(
                Result {
                    try result.get().pipeline.syncOperations.handler(type: RedisConnection.self)
                }.mapError { Self.error($0, place: place) })
        }
    }

    /// The name for SNI, and for the check of the certificate; an address is checked as such.
    private static func serverName(of address: RedisEndpoint.Address) -> String? {
        guard case .tcp(let host, _) = address, (try? SocketAddress(ipAddress: host, port: 0)) == nil else {
            return nil
        }
        return host
    }

    /// - Throws: `misconfigured`, which names the setting and the file.
    static func context(_ tls: RedisTLS, setting: String) throws(RedisError) -> NIOSSLContext {
        do {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.certificateVerification =
                switch tls.verification {
                case .full: .fullVerification
                case .withoutName: .noHostnameVerification
                case .none: .none
                }
            if let file = tls.authorityFile {
                configuration.trustRoots = .certificates(try Self.certificates(file))
            }
            if let file = tls.certificateFile {
                configuration.certificateChain = try Self.certificates(file).map { .certificate($0) }
                let keyFile = tls.keyFile ?? file
                do {
                    configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: keyFile, format: .pem))
                } catch {
                    throw RedisError(.misconfigured, "\(keyFile) is no PEM file with a private key (\(error))")
                }
            }
            return try NIOSSLContext(configuration: configuration)
        } catch let error as RedisError {
            throw RedisError(error.code, "\(setting): \(error.message)")
        } catch {
            throw RedisError(.misconfigured, "\(setting): TLS cannot be set up: \(error)")
        }
    }

    private static func certificates(_ file: String) throws -> [NIOSSLCertificate] {
        do {
            let certificates = try NIOSSLCertificate.fromPEMFile(file)
            if !certificates.isEmpty { return certificates }
        } catch {
            throw RedisError(.misconfigured, "\(file) is no PEM file with certificates (\(error))")
        }
        throw RedisError(.misconfigured, "\(file) holds no certificate")
    }

    /// What went wrong on a channel, for people.
    static func error(_ error: any Error, place: String) -> RedisError {
        switch error {
        case let error as RedisError: error
        case let error as NIOConnectionError:
            if error.connectionErrors.isEmpty, let problem = error.dnsAError ?? error.dnsAAAAError {
                RedisError(.misconfigured, "the host of Redis at \(place) is not known: \(problem)")
            } else {
                RedisError(
                    .unavailable,
                    "Redis at \(place) cannot be reached: \(error.connectionErrors.first.map { "\($0.error)" } ?? "")")
            }
        case let error as NIOSSLError:
            RedisError(.misconfigured, "Redis at \(place) and we do not agree on TLS: \(error)")
        case let error as NIOSSLExtraError:
            RedisError(.misconfigured, "Redis at \(place) has not the right certificate: \(error)")
        case let error as ChannelError:
            RedisError(.unavailable, "Redis at \(place) cannot be reached: \(error)")
        case let error as IOError:
            RedisError(.unavailable, "Redis at \(place) cannot be reached: \(error)")
        default: RedisError(.connectionLost, "the connection to Redis at \(place) failed: \(error)")
        }
    }
}
