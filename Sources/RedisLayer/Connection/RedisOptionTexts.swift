/// The arguments of a connection as redis-py names them, as texts: from the query of a URL, or from a map in the settings.
struct RedisOptionTexts {
    private var texts: [String: String] = [:]

    /// What an endpoint is made of.
    static let known = [
        "db", "username", "password", "client_name", "ssl", "ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile",
        "ssl_keyfile", "ssl_check_hostname",
    ]
    /// What only concerns the Python client; read over, so that a configuration can be shared.
    static let foreign = [
        "socket_timeout", "socket_connect_timeout", "socket_keepalive", "socket_keepalive_options", "retry_on_timeout",
        "retry_on_error", "retry", "health_check_interval", "max_connections", "encoding", "encoding_errors",
        "decode_responses", "protocol", "timeout", "lib_name", "lib_version",
    ]

    subscript(name: String) -> String? {
        get { self.texts[name] }
        set { self.texts[name] = newValue }
    }

    /// Changes what the arguments say something about.
    func apply(to endpoint: inout RedisEndpoint) throws(RedisEndpointError) {
        for name in self.texts.keys.sorted() where !Self.known.contains(name) && !Self.foreign.contains(name) {
            throw RedisEndpointError("nothing is known of an argument \(name.debugDescription)")
        }
        if let text = self["db"] { endpoint.database = try RedisEndpoint.database(text[...]) }
        if let name = self["client_name"], !name.isEmpty { endpoint.clientName = name }
        try self.apply(to: &endpoint.credentials)
        try self.apply(to: &endpoint.tls)
    }

    func apply(to credentials: inout RedisEndpoint.Credentials?) throws(RedisEndpointError) {
        if let password = self["password"], !password.isEmpty {
            credentials = .init(username: credentials?.username, password: password)
        }
        if let username = self["username"], !username.isEmpty {
            guard credentials != nil else { throw RedisEndpointError("there is a username without a password") }
            credentials?.username = username
        }
    }

    func apply(to tls: inout RedisTLS?) throws(RedisEndpointError) {
        let names = ["ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"]
        if let isOn = try self.flag("ssl") { tls = isOn ? tls ?? RedisTLS() : nil }
        // Where it is said how, it is meant; except where it is said that not.
        guard var result = tls ?? (self["ssl"] == nil && names.contains { self[$0] != nil } ? RedisTLS() : nil) else {
            return
        }
        switch self["ssl_cert_reqs"] {
        case nil, "required", "optional": break
        case "none", "None", "": result.verification = .none
        default: throw RedisEndpointError("ssl_cert_reqs is none of \"required\", \"optional\" and \"none\"")
        }
        if try self.flag("ssl_check_hostname") == false, result.verification == .full {
            result.verification = .withoutName
        }
        result.authorityFile = self["ssl_ca_certs"] ?? result.authorityFile
        result.certificateFile = self["ssl_certfile"] ?? result.certificateFile
        result.keyFile = self["ssl_keyfile"] ?? result.keyFile
        tls = result
    }

    private func flag(_ name: String) throws(RedisEndpointError) -> Bool? {
        switch self[name]?.lowercased() {
        case nil: nil
        case "true", "1", "yes", "on", "t", "y": true
        case "false", "0", "no", "off", "f", "n", "": false
        default: throw RedisEndpointError("\(name) is neither true nor false")
        }
    }
}
