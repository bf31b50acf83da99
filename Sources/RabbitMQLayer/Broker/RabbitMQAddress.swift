import HTTP1

/// Where one RabbitMQ node is, who asks, and for which virtual host: what an AMQP URL says.
///
/// The forms people have are taken as they are meant: `…:5672//` and `…:5672/%2f` are the virtual host `/`, as is nothing
/// at all; a missing user is `guest`; `pyamqp://` is Celery's word for `amqp://`; a percent sign that encodes nothing
/// stands for itself.
public struct RabbitMQAddress: Sendable, Hashable, CustomStringConvertible {
    /// A name or an address; IPv6 without brackets.
    public var host: String
    public var port: Int
    public var user: String
    public var password: String
    public var virtualHost: String
    /// Whether the connection is encrypted: `amqps://`.
    public var isSecure: Bool

    public init(
        host: String = "127.0.0.1", port: Int = 5_672, user: String = "guest", password: String = "guest",
        virtualHost: String = "/", isSecure: Bool = false
    ) {
        self.host = host
        self.port = port
        self.user = user
        self.password = password
        self.virtualHost = virtualHost
        self.isSecure = isSecure
    }

    /// - Throws: what is wrong with `url`, without repeating it: it may hold a password.
    public init(_ url: String) throws(RabbitMQAddressError) {
        // A library in C sees the end of the text in a zero byte.
        guard !url.utf8.contains(0) else { throw RabbitMQAddressError("it holds a zero byte") }
        guard let mark = url.firstRange(of: "://") else { throw RabbitMQAddressError("it has no scheme") }
        switch url[..<mark.lowerBound].lowercased() {
        case "amqp", "pyamqp": self.isSecure = false
        case "amqps": self.isSecure = true
        default: throw RabbitMQAddressError("its scheme is neither amqp nor amqps")
        }
        let rest = url[mark.upperBound...]
        guard !rest.contains("?"), !rest.contains("#") else {
            throw RabbitMQAddressError("it has parameters after ? or #; they are settings of their own here")
        }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        var authority = rest[..<slash]
        (self.user, self.password) = ("guest", "guest")
        // A password may hold @ itself; the host begins after the last one.
        if let at = authority.lastIndex(of: "@") {
            let names = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            if let user = names.first, !user.isEmpty { self.user = Self.decoded(user) }
            self.password = names.count > 1 ? Self.decoded(names[1]) : self.user
            authority = authority[authority.index(after: at)...]
        }
        (self.host, self.port) = try Self.hostAndPort(authority, standard: self.isSecure ? 5_671 : 5_672)
        self.virtualHost = Self.virtualHost(rest[slash...].dropFirst())
        guard !self.virtualHost.utf8.contains(0), self.virtualHost.utf8.count <= 255 else {
            throw RabbitMQAddressError("its virtual host is no name of at most 255 bytes")
        }
    }

    /// The URLs of a text: several nodes of a cluster are separated by `;`, as Celery has it.
    public static func list(_ urls: String) throws(RabbitMQAddressError) -> [RabbitMQAddress] {
        var addresses: [RabbitMQAddress] = []
        for url in urls.split(separator: ";") { addresses.append(try RabbitMQAddress(String(url))) }
        guard !addresses.isEmpty else { throw RabbitMQAddressError("it is empty") }
        return addresses
    }

    private static func hostAndPort(
        _ authority: Substring, standard: Int
    ) throws(RabbitMQAddressError) -> (String, Int) {
        var host = authority
        var port = standard
        // The colons inside brackets are the address's own.
        let end = authority.lastIndex(of: "]") ?? authority.startIndex
        if let colon = authority[end...].lastIndex(of: ":") {
            guard let number = Int(authority[authority.index(after: colon)...]), (1...65_535).contains(number) else {
                throw RabbitMQAddressError("its port is no number from 1 to 65535")
            }
            host = authority[..<colon]
            port = number
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.contains(where: \.isWhitespace) else { throw RabbitMQAddressError("its host has a space") }
        return (host.isEmpty ? "127.0.0.1" : String(host), port)
    }

    private static func virtualHost(_ path: Substring) -> String {
        path.isEmpty || path == "/" ? "/" : Self.decoded(path)
    }

    private static func decoded(_ text: Substring) -> String { (try? PercentEncoding.decode(text)) ?? String(text) }

    /// For people: without user and password.
    public var description: String {
        let host = self.host.contains(":") ? "[\(self.host)]" : self.host
        return "\(self.isSecure ? "amqps" : "amqp")://\(host):\(self.port) (virtual host \"\(self.virtualHost)\")"
    }
}

/// A text that is no address of a RabbitMQ node.
public struct RabbitMQAddressError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String

    init(_ problem: String) {
        self.description = "\(problem); wanted amqp://[USER:PASSWORD@]HOST[:PORT][/VIRTUAL_HOST], or amqps://…"
    }
}
