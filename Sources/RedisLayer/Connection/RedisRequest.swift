import ChannelLayer
import NIOCore

/// A command on its way, and whom to tell how it ended.
struct RedisRequest: Sendable {
    let answer: RedisAnswer
    /// How long the answer may take, from the moment it is the next one due.
    let timeLimit: TimeAmount
    /// Bytes of the command, for the account of what waits; 0 when it is in nobody's account.
    let size: Int
    /// The command when it goes out by itself, and later when it may have to be sent again; `nil` when its bytes were joined
    /// with those of others.
    var command: RedisCommand?
}

/// Whom to tell how a command ended. Called once, on the client's event loop.
enum RedisAnswer: Sendable {
    /// Wants the answer itself. An error that the server answered is a failure.
    case reply(@Sendable (Result<RedisReply, RedisError>) -> Void)
    /// Wants what a layer's caller is told: what went wrong, or nothing. Such a closure is the caller's own, so that a
    /// message needs none made for it.
    case outcome(@Sendable (LayerError?) -> Void)

    func tell(_ result: Result<RedisReply, RedisError>) {
        switch (self, result) {
        case (.reply(let completion), _): completion(result)
        case (.outcome(let completion), .success): completion(nil)
        case (.outcome(let completion), .failure(let error)): completion(error.layerError)
        }
    }
}
