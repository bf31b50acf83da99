package import Settings

extension RedisEndpoint {
    /// One entry of `hosts`, in each form that `channels_redis` takes: a URL, `[HOST, PORT]`, or a map of a connection's
    /// arguments (`address`, or `host` and `port`, or `sentinels`, `master_name` and `sentinel_kwargs`; with `password`,
    /// `db`, `ssl_ca_certs` … beside).
    ///
    /// - Returns: `nil` when it cannot be used; that was written down at the node, without secrets.
    package static func read(_ node: SettingsNode) -> RedisEndpoint? {
        var endpoint: RedisEndpoint?
        do throws(RedisEndpointError) {
            if node.isObject {
                endpoint = try Self.map(node)
            } else if node.isList {
                endpoint = RedisEndpoint(.server(try Self.pair(node, defaultPort: Self.defaultPort)))
            } else if let text = node.value.string {
                endpoint = try RedisEndpoint(parsing: text)
            } else {
                throw RedisEndpointError("it is neither a text, nor [HOST, PORT], nor a map")
            }
        } catch {
            node.note(error.description)
        }
        endpoint?.setting = node.path
        return endpoint
    }

    private static let placeKeys = ["address", "host", "port", "sentinels", "master_name", "sentinel_kwargs"]

    private static func map(_ node: SettingsNode) throws(RedisEndpointError) -> RedisEndpoint? {
        guard node.allow(Self.placeKeys + RedisOptionTexts.known + RedisOptionTexts.foreign) else { return nil }
        var endpoint: RedisEndpoint
        if let sentinels = node.child("sentinels") {
            endpoint = RedisEndpoint(.sentinels(try Self.sentinels(sentinels, of: node)))
        } else if let address = node.child("address", isSecret: true) {
            guard let text = address.value.string else { throw RedisEndpointError("address is no URL") }
            endpoint = try RedisEndpoint(parsing: text)
        } else {
            let host = node.child("host")?.value.string ?? "localhost"
            let port = try Self.port(node.child("port")) ?? Self.defaultPort
            endpoint = RedisEndpoint(.server(.tcp(host: host, port: port)))
        }
        try Self.texts(node).apply(to: &endpoint)
        return endpoint
    }

    /// The arguments of a connection that stand in a map.
    private static func texts(_ node: SettingsNode) throws(RedisEndpointError) -> RedisOptionTexts {
        var texts = RedisOptionTexts()
        for name in RedisOptionTexts.known {
            guard let child = node.child(name, isSecret: name == "password") else { continue }
            if let text = child.value.string {
                texts[name] = text
            } else if let flag = child.value.bool {
                texts[name] = flag ? "true" : "false"
            } else if let number = child.value.integer {
                texts[name] = "\(number)"
            } else {
                throw RedisEndpointError("\(name) is neither a text nor a number")
            }
        }
        return texts
    }

    private static func sentinels(
        _ list: SettingsNode, of node: SettingsNode
    ) throws(RedisEndpointError) -> Sentinels {
        guard let name = node.child("master_name")?.value.string, !name.isEmpty else {
            throw RedisEndpointError("sentinels want a master_name, under which they watch the master")
        }
        var addresses: [Address] = []
        for element in list.elements(limit: 100) {
            if let text = element.value.string {
                addresses.append(try Self.sentinel(text))
            } else {
                addresses.append(try Self.pair(element, defaultPort: Self.defaultSentinelPort))
            }
        }
        guard !addresses.isEmpty else { throw RedisEndpointError("sentinels is no list of [HOST, PORT]") }
        var sentinels = Sentinels(addresses: addresses, masterName: name)
        if let more = node.child("sentinel_kwargs") {
            guard more.allow(RedisOptionTexts.known + RedisOptionTexts.foreign) else { return sentinels }
            let texts = try Self.texts(more)
            try texts.apply(to: &sentinels.credentials)
            try texts.apply(to: &sentinels.tls)
        }
        return sentinels
    }

    /// `HOST` or `HOST:PORT`.
    private static func sentinel(_ text: String) throws(RedisEndpointError) -> Address {
        let hasPort = text.hasPrefix("[") ? text.contains("]:") : text.contains(":")
        return try Self.address(hasPort ? text[...] : "\(text):\(Self.defaultSentinelPort)")
    }

    /// `[HOST, PORT]`
    private static func pair(_ node: SettingsNode, defaultPort: Int) throws(RedisEndpointError) -> Address {
        let parts = node.elements(limit: 2)
        guard let host = parts.first?.value.string, !host.isEmpty else {
            throw RedisEndpointError("a place is [HOST, PORT]")
        }
        return .tcp(host: host, port: try Self.port(parts.count > 1 ? parts[1] : nil) ?? defaultPort)
    }

    private static func port(_ node: SettingsNode?) throws(RedisEndpointError) -> Int? {
        guard let node else { return nil }
        let number = node.value.integer ?? node.value.string.flatMap { Int64($0) }
        guard let number, (1...65_535).contains(number) else {
            throw RedisEndpointError("the port is no number from 1 to 65535")
        }
        return Int(number)
    }
}
