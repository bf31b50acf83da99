public import ChannelLayer

/// Why a Redis server could not do what it was asked.
struct RedisError: Error, Sendable, Equatable, CustomStringConvertible {
    enum Code: String, Sendable {
        /// There is no connection, and nothing was sent. The client reconnects by itself; retry later.
        case unavailable
        /// The connection was lost before the answer came: the command may have been carried out, or not.
        case connectionLost = "connection_lost"
        /// The answer did not come in time; the connection is closed. The command may have been carried out, or not.
        case timedOut = "timed_out"
        /// More commands or bytes wait than may. Nothing was sent; retry later, or slow down.
        case tooManyWaiting = "too_many_waiting"
        /// The server does not let us in: password, user, certificate. The settings must change.
        case refused
        /// The server cannot be found or used as the settings say: no such host, database, master, file.
        case misconfigured
        /// The server has no memory left for writes (`OOM`). It must get room, or a policy to make some.
        case outOfMemory = "out_of_memory"
        /// The server is a replica, or lost its disk (`READONLY`, `MISCONF`, `NOREPLICAS`): it does not take writes.
        case readOnly = "read_only"
        /// A cluster's node does not serve the slot (`MOVED`, `ASK`, `CLUSTERDOWN`, `TRYAGAIN`).
        case moved
        /// The server does not know the script (`NOSCRIPT`).
        case noScript = "no_script"
        /// Any other error that the server answered.
        case server
        /// What came is not the Redis protocol.
        case notRedis = "not_redis"
        /// The client was closed. Do not retry.
        case closed
    }

    let code: Code
    /// What happened, what was wanted, what next: one sentence for a person.
    let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    var description: String { "\(self.code.rawValue): \(self.message)" }

    /// What the server answered.
    init(_ error: RedisServerError) {
        let code: Code =
            switch error.kind {
            case "OOM": .outOfMemory
            case "READONLY", "MISCONF", "NOREPLICAS": .readOnly
            case "NOSCRIPT": .noScript
            case "MOVED", "ASK", "CLUSTERDOWN", "TRYAGAIN": .moved
            case "NOAUTH", "WRONGPASS", "NOPERM": .refused
            case "LOADING", "MASTERDOWN", "BUSY": .unavailable
            default: .server
            }
        self.init(code, "Redis answered: \(error.message)")
    }

    /// As the layer's callers see it.
    var layerError: LayerError {
        switch self.code {
        case .closed: LayerError(.closed, "the layer was closed")
        case .outOfMemory, .readOnly, .refused, .misconfigured, .server, .noScript, .moved, .notRedis:
            LayerError(.refused, self.message)
        case .unavailable, .connectionLost, .timedOut, .tooManyWaiting: LayerError(.unavailable, self.message)
        }
    }
}

extension LayerError.Code {
    /// The broker is there and does not do what it is asked: no memory left, read only, wrong password. Somebody must
    /// look at it; the message says at what.
    public static let refused = LayerError.Code("refused")
}
