import HTTP1
package import Settings

/// The settings of a worker process.
package enum WorkersSettings {
    package static let listen = Setting(
        "workers.listen", default: ListenAddress.tcp(host: "127.0.0.1", port: 8002), kind: .listenAddress,
        help:
            "Where the worker listens; fd://NUMBER is a socket it inherits, 0 under supervisord's fcgi-program, 3 under systemd."
    )
    package static let socketMode = Setting(
        "workers.socket_mode", default: nil, kind: SettingKind<String>.permissions.orNone,
        help: "Permission bits of the Unix socket's file; the umask's when left out. Whoever may write to it is "
            + "believed about a visitor's address.",
        example: "0660")
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
    package static let maxRequests = Setting(
        "workers.max_requests", default: 0, in: 0...1_000_000_000, unit: "requests",
        help:
            "After so many requests (and up to half as many more, so that not all processes do it at once) a worker process "
            + "takes no more, finishes what runs and ends with status 0, to be started anew (supervisord: "
            + "autorestart=true). 0 for never. serve takes no notice.")
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
        "workers.trusted_proxies", default: ["127.0.0.1", "::1"], kind: SettingKind<String>.proxy.list(),
        help: "Addresses and ranges whose X-Forwarded-For and X-Real-IP are believed. The peer of a Unix socket always "
            + "is.")

    package static let all: [any AnySetting] = [
        listen, socketMode, threads, queue, requestTimeout, stuckThreads, maxRequests, connections, writeTimeout,
        headTimeout,
        bodyTimeout, idleTimeout, bodyLimit, trustedProxies,
    ]
}

/// The settings of the publish API.
package enum PublishSettings {
    package static let keys = Setting(
        "api.keys", default: [String](),
        help: "Keys that may publish, in X-API-Key or Authorization: apikey …; without any nobody may. They are "
            + "secrets: name variables of the environment here.",
        isSecret: true, example: "${CARILLON_API_KEY}")
    package static let insecure = Setting(
        "api.insecure", default: false,
        help: "Lets everybody publish, key or not. Only where nobody else can reach the worker.")
    package static let prefix = Setting(
        "api.prefix", default: "/api/", kind: SettingKind<String>.folder,
        help: "What the paths of the publish API begin with.")
    package static let errorMode = Setting(
        "api.error_mode", default: "result", oneOf: ["result", "transport"],
        help: "How errors are told: in a 200 answer, or by the status. A client may ask for the latter with "
            + "X-Centrifugo-Error-Mode: transport.")
    package static let layerTimeout = Setting(
        "api.layer_timeout", default: Duration.seconds(5), in: .milliseconds(10)...(.seconds(600)),
        help: "How long the layer may take to accept a publication. Then the answer is error 100.")

    package static let surveyTimeout = Setting(
        "api.survey_timeout", default: Duration.seconds(2), in: .milliseconds(10)...(.seconds(600)),
        help:
            "How long is waited for gateways that do not answer a question (info, channels, connections, and presence "
            + "where the layer keeps none). Then the answer is without them.")

    package static let all: [any AnySetting] = [keys, insecure, prefix, errorMode, layerTimeout, surveyTimeout]
}

extension SettingKind where Value == String {
    /// Permission bits as `chmod` has them.
    fileprivate static var permissions: SettingKind<UInt16> {
        let wanted = "an octal number such as \"0660\""
        return SettingKind<String>.string(wanted).converted { text in
            guard let mode = UInt16(text, radix: 8), mode <= 0o777 else { throw SettingMismatch(wanted: wanted) }
            return mode
        } back: {
            "0" + String($0, radix: 8)
        }
    }

    /// An address or a range of addresses.
    fileprivate static var proxy: SettingKind<String> {
        SettingKind<String>.string("addresses such as \"127.0.0.1\", \"10.0.0.0/8\" or \"::1\"").converted { text in
            _ = try TrustedProxies([text])
            return text
        } back: {
            $0
        }
    }

    /// The beginning of paths.
    fileprivate static var folder: SettingKind<String> {
        let wanted = "a path that begins and ends with \"/\""
        return SettingKind<String>.string(wanted).converted { text in
            guard text.hasPrefix("/"), text.hasSuffix("/") else { throw SettingMismatch(wanted: wanted) }
            return text
        } back: {
            $0
        }
    }
}
