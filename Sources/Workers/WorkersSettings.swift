package import Settings

/// The settings of a worker process.
package enum WorkersSettings {
    package static let listen = Setting(
        "workers.listen", default: "http://127.0.0.1:8002",
        help: "Where the worker listens: http://host:port, unix:///path, or fd://0 for a socket it inherits "
            + "(0 under supervisord's fcgi-program, 3 under systemd).",
        bounds: "http://host:port, unix:///path or fd://number",
        accepts: { WorkersConfiguration.Listen($0) != nil })
    package static let socketMode = Setting(
        "workers.socket_mode", default: "",
        help: "Permission bits of the Unix socket's file, for example 0660; empty leaves them to the umask. Whoever "
            + "may write to it is believed about a visitor's address.",
        bounds: "an octal number such as \"0660\"", accepts: { $0.isEmpty || WorkersSettings.mode($0) != nil })
    package static let threads = Setting(
        "workers.threads", default: 8, in: 1...1_024, unit: "threads",
        help: "How many requests are answered at once, each on a thread of its own.")
    package static let queue = Setting(
        "workers.queue", default: 64, in: 0...65_536, unit: "requests",
        help: "Requests that may wait for a thread. One more is answered 503 with Retry-After at once.")
    package static let requestTimeout = Setting(
        "workers.request_timeout", default: Duration.seconds(30), in: .milliseconds(10)...(.seconds(86_400)),
        help: "How long a request may wait for a thread (then 503), and how long it may then go without an answer or "
            + "a chunk of one (then 504, and its thread is replaced).")
    package static let stuckThreads = Setting(
        "workers.stuck_threads", default: 32, in: 0...1_024, unit: "threads",
        help: "Threads over the request time limit that are replaced by new ones. When more are stuck the pool shrinks."
    )
    package static let connections = Setting(
        "workers.connections", default: 4_096, in: 1...1_000_000, unit: "connections",
        help: "Connections held at once. One more is answered 503 and closed.")
    package static let writeTimeout = Setting(
        "workers.write_timeout", default: Duration.seconds(30), in: .milliseconds(10)...(.seconds(86_400)),
        help: "How long a visitor may read nothing of an answer before the connection is cut.")
    package static let headTimeout = Setting(
        "workers.head_timeout", default: Duration.seconds(10), in: .milliseconds(10)...(.seconds(3_600)),
        help: "How long the head of a request may take, from its first byte to its last.")
    package static let bodyTimeout = Setting(
        "workers.body_timeout", default: Duration.seconds(60), in: .milliseconds(10)...(.seconds(3_600)),
        help: "How long the body of a request may take, from the end of the head to its last byte.")
    package static let idleTimeout = Setting(
        "workers.idle_timeout", default: Duration.seconds(75), in: .milliseconds(10)...(.seconds(86_400)),
        help: "How long a kept-alive connection may be quiet. Longer than the router or nginx keeps its own.")
    package static let bodyLimit = Setting(
        "workers.body_limit", default: 1_048_576, in: 0...1_073_741_824, unit: "bytes",
        help: "Size of one request's body. More is answered 413. Bodies are held in memory.")
    package static let trustedProxies = Setting(
        "workers.trusted_proxies", default: ["127.0.0.1", "::1"],
        help:
            "Addresses and ranges whose X-Forwarded-For and X-Real-IP are believed. The peer of a Unix socket always is.",
        bounds: "a list of addresses such as \"10.0.0.0/8\"",
        accepts: { (try? WorkersConfiguration.trusted($0)) != nil })

    package static let all: [any AnySetting] = [
        listen, socketMode, threads, queue, requestTimeout, stuckThreads, connections, writeTimeout, headTimeout,
        bodyTimeout, idleTimeout, bodyLimit, trustedProxies,
    ]

    static func mode(_ text: String) -> UInt16? { UInt16(text, radix: 8).flatMap { $0 <= 0o777 ? $0 : nil } }
}

/// The settings of the publish API.
package enum PublishSettings {
    package static let keys = Setting(
        "api.keys", default: [String](),
        help:
            "Keys that may publish, in X-API-Key or Authorization: apikey …. Give them as ${NAME} from the environment. "
            + "Without any, nobody may.", isSecret: true)
    package static let insecure = Setting(
        "api.insecure", default: false,
        help: "Lets everybody publish, key or not. Only where nobody else can reach the worker.")
    package static let prefix = Setting(
        "api.prefix", default: "/api/", help: "What the paths of the publish API begin with.",
        bounds: "a path that begins and ends with /", accepts: { $0.hasPrefix("/") && $0.hasSuffix("/") })
    package static let errorMode = Setting(
        "api.error_mode", default: "result", oneOf: ["result", "transport"],
        help: "How errors are told: in a 200 answer, or by the status. A client may ask for the latter with "
            + "X-Centrifugo-Error-Mode: transport.")
    package static let layerTimeout = Setting(
        "api.layer_timeout", default: Duration.seconds(5), in: .milliseconds(10)...(.seconds(600)),
        help: "How long the layer may take to accept a publication. Then the answer is error 100.")

    package static let all: [any AnySetting] = [keys, insecure, prefix, errorMode, layerTimeout]
}
