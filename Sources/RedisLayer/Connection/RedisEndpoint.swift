/// Where one Redis is, how to get in, and which of its databases to use: one entry of `hosts`.
public struct RedisEndpoint: Sendable, Hashable {
    /// Where a server listens.
    public enum Address: Sendable, Hashable, CustomStringConvertible {
        /// `host` is a name or an address, IPv6 without brackets; `port` is 1 to 65535.
        case tcp(host: String, port: Int)
        /// The absolute path of a Unix socket, at most 107 bytes.
        case unix(path: String)

        public var description: String {
            switch self {
            case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            case .unix(let path): path
            }
        }
    }

    /// Who gets in with which password.
    public struct Credentials: Sendable, Hashable {
        /// `nil` is the user `default`.
        public var username: String?
        public var password: String

        public init(username: String? = nil, password: String) {
            self.username = username
            self.password = password
        }
    }

    /// Servers that know which Redis is the master now.
    public struct Sentinels: Sendable, Hashable {
        /// Asked in this order, until one answers.
        public var addresses: [Address]
        /// The name under which the sentinels watch the master.
        public var masterName: String
        /// For the sentinels themselves.
        public var credentials: Credentials?
        /// For connections to the sentinels themselves.
        public var tls: RedisTLS?

        public init(addresses: [Address], masterName: String, credentials: Credentials? = nil, tls: RedisTLS? = nil) {
            self.addresses = addresses
            self.masterName = masterName
            self.credentials = credentials
            self.tls = tls
        }
    }

    public enum Place: Sendable, Hashable, CustomStringConvertible {
        case server(Address)
        /// The master that these sentinels name, at each connection anew.
        case sentinels(Sentinels)

        public var description: String {
            switch self {
            case .server(let address): "\(address)"
            case .sentinels(let sentinels): "the master \"\(sentinels.masterName)\""
            }
        }
    }

    public var place: Place
    public var credentials: Credentials?
    /// 0 to 1 000 000; the servers have 16 by default.
    public var database = 0
    /// What `CLIENT LIST` shows.
    public var clientName: String?
    /// `nil` sends in the clear.
    public var tls: RedisTLS?
    /// The setting it stands in, for errors.
    public var setting = "channel_layers.default.config.hosts[0]"

    public init(_ place: Place, credentials: Credentials? = nil, database: Int = 0, tls: RedisTLS? = nil) {
        self.place = place
        self.credentials = credentials
        self.database = database
        self.tls = tls
    }

    /// What is used when nothing is said: `redis://localhost:6379`.
    public static let local = RedisEndpoint(.server(.tcp(host: "localhost", port: Self.defaultPort)))

    static let defaultPort = 6_379
    static let defaultSentinelPort = 26_379

    /// The server for people, without secrets.
    var shownPlace: String { self.database == 0 ? "\(self.place)" : "\(self.place) database \(self.database)" }
}

/// How a connection is encrypted, and what the server must prove.
public struct RedisTLS: Sendable, Hashable {
    /// What is asked of the server's certificate.
    public enum Verification: String, Sendable, Hashable, CaseIterable {
        /// Signed by a known authority, for the host's name.
        case full
        /// Signed by a known authority, for any name.
        case withoutName
        case none
    }

    public var verification: Verification
    /// A PEM file of authorities to trust in place of the system's.
    public var authorityFile: String?
    /// A PEM file with the client's certificate chain, where the server wants one.
    public var certificateFile: String?
    /// A PEM file with the certificate's private key; often the same file.
    public var keyFile: String?

    public init(
        verification: Verification = .full, authorityFile: String? = nil, certificateFile: String? = nil,
        keyFile: String? = nil
    ) {
        self.verification = verification
        self.authorityFile = authorityFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }
}

/// A text that is no place of a Redis server.
public struct RedisEndpointError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, and what was wanted. The text itself is not repeated: it may hold a password.
    public let description: String

    init(_ problem: String) { self.description = "\(problem); wanted \(RedisEndpoint.wanted)" }
}

extension RedisEndpoint {
    static let wanted = "redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss://… or unix:///PATH[?db=N]"
}
