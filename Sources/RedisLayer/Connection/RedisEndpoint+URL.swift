import HTTP1

extension RedisEndpoint {
    /// Reads `redis://`, `rediss://` and `unix://` as redis-py does: names and passwords percent-encoded, the database as
    /// path or `db=`, and the arguments of a connection in the query.
    ///
    /// - Throws: an error that says what is wrong, without the text itself, which may hold a password.
    public init(parsing url: String) throws(RedisEndpointError) {
        guard let mark = url.firstRange(of: "://") else { throw RedisEndpointError("there is no scheme") }
        var rest = url[mark.upperBound...]
        let query = rest.firstIndex(of: "?").map { rest[rest.index(after: $0)...] }
        rest = rest.prefix { $0 != "?" }
        switch url[..<mark.lowerBound].lowercased() {
        case "redis": try self.init(server: rest)
        case "rediss":
            try self.init(server: rest)
            self.tls = RedisTLS()
        case "unix": try self.init(socket: rest)
        default: throw RedisEndpointError("the scheme is none of redis, rediss and unix")
        }
        var options = RedisOptionTexts()
        for item in (query ?? "").split(separator: "&") {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            options[String(parts[0])] = try Self.decoded(parts.count > 1 ? parts[1] : "")
        }
        try options.apply(to: &self)
    }

    /// `[[USER]:PASSWORD@]HOST[:PORT][/DB]`
    private init(server text: Substring) throws(RedisEndpointError) {
        let authority = text.prefix { $0 != "/" }
        let path = text.dropFirst(authority.count + 1)
        let at = authority.lastIndex(of: "@")
        let place = at.map { authority[authority.index(after: $0)...] } ?? authority
        self.init(.server(try Self.address(place)))
        if let at { self.credentials = try Self.credentials(authority[..<at]) }
        if !path.isEmpty {
            guard !path.contains("/") else { throw RedisEndpointError("the path has more than a database's number") }
            self.database = try Self.database(path)
        }
    }

    /// `[[USER]:PASSWORD@]/PATH`
    private init(socket text: Substring) throws(RedisEndpointError) {
        let user = text.hasPrefix("/") ? nil : text.prefix { $0 != "@" }
        let path = try Self.decoded(user.map { text.dropFirst($0.count + 1) } ?? text)
        guard path.hasPrefix("/"), path.utf8.count <= 107 else {
            throw RedisEndpointError("the socket's path is not absolute, or longer than 107 bytes")
        }
        self.init(.server(.unix(path: path)))
        if let user { self.credentials = try Self.credentials(user) }
    }

    /// `HOST`, `HOST:PORT`, `[IPv6]:PORT`; without a host it is localhost, as in Python.
    static func address(_ text: Substring) throws(RedisEndpointError) -> Address {
        var (host, port) = (text, text[text.endIndex...])
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else {
                throw RedisEndpointError("the bracket of the IPv6 address is not closed")
            }
            host = text[text.index(after: text.startIndex)..<end]
            port = text[text.index(after: end)...]
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[colon...]
        }
        guard port.isEmpty || port.first == ":" else { throw RedisEndpointError("after the host comes no port") }
        let number = port.count > 1 ? port.dropFirst() : "\(Self.defaultPort)"
        guard number.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(number),
            (1...65_535).contains(value)
        else { throw RedisEndpointError("the port is no number from 1 to 65535") }
        let name = try Self.decoded(host)
        return .tcp(host: name.isEmpty ? "localhost" : name, port: value)
    }

    /// `PASSWORD` without a colon is a user without a password to redis-py, which no server takes.
    private static func credentials(_ text: Substring) throws(RedisEndpointError) -> Credentials? {
        guard !text.isEmpty else { return nil }
        guard let colon = text.firstIndex(of: ":") else {
            throw RedisEndpointError("before the @ stands no password; write :PASSWORD@ or USER:PASSWORD@")
        }
        let user = try Self.decoded(text[..<colon])
        let password = try Self.decoded(text[text.index(after: colon)...])
        guard !password.isEmpty else { return nil }
        return Credentials(username: user.isEmpty ? nil : user, password: password)
    }

    static func database(_ text: Substring) throws(RedisEndpointError) -> Int {
        guard let number = Int(text), (0...1_000_000).contains(number) else {
            throw RedisEndpointError("the database is no number from 0 to 1000000")
        }
        return number
    }

    private static func decoded(_ text: Substring) throws(RedisEndpointError) -> String {
        do {
            return try PercentEncoding.decode(text)
        } catch {
            throw RedisEndpointError("the percent-encoding is malformed")
        }
    }
}
