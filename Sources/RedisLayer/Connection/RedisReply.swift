import NIOCore

/// What a Redis server answers (RESP2).
enum RedisReply: Sendable, Equatable {
    /// Nothing: a key that is not there, a wait that ended without a result.
    case null
    case integer(Int64)
    /// A short text of the server's own: `OK`, `PONG`, `QUEUED`.
    case simple(String)
    /// Only inside arrays (`EXEC`): an answer that is an error as a whole is a `RedisError`.
    case error(RedisServerError)
    /// Bytes of their own: keeping them keeps nothing else alive.
    case bulk(ByteBuffer)
    case array([RedisReply])

    /// The number, when it is one, also when it comes as text.
    var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .bulk(let bytes): Int64(String(buffer: bytes))
        default: nil
        }
    }

    /// The text of a simple or bulk answer.
    var text: String? {
        switch self {
        case .simple(let text): text
        case .bulk(let bytes): String(buffer: bytes)
        default: nil
        }
    }

    var bulk: ByteBuffer? { if case .bulk(let bytes) = self { bytes } else { nil } }

    var array: [RedisReply]? { if case .array(let elements) = self { elements } else { nil } }
}

/// An error that the server itself answered: `READONLY You can't write against a read only replica.`
struct RedisServerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The whole line.
    let message: String
    var description: String { self.message }

    /// The first word, by which errors are told apart: `ERR`, `OOM`, `READONLY`, `NOSCRIPT`, `MOVED` …
    var kind: Substring { self.message.prefix { $0 != " " } }
}
