import NIOCore
import Synchronization

/// What waits to be sent, offered by any thread and taken by the event loop.
final class RedisOutbox: Sendable {
    private struct State {
        var batch = RedisBatch()
        /// Commands and bytes that wait to be sent or answered.
        var commands = 0
        var bytes = 0
        /// The loop was told and did not come yet.
        var isCalled = false
        /// Why nothing is taken now.
        var refusal: RedisError?
    }

    enum Offer {
        /// It waits, and the loop must be told.
        case first
        /// It waits; the loop knows.
        case more
        case refused(RedisError)
    }

    private let state = Mutex(State())
    private let maximumCommands: Int
    private let maximumBytes: Int

    init(_ options: RedisClientOptions) {
        self.maximumCommands = options.maximumCommands
        self.maximumBytes = options.maximumBytes
    }

    func offer(_ command: RedisCommand, timeLimit: TimeAmount, _ answer: RedisAnswer) -> Offer {
        self.state.withLock { state in
            if let error = state.refusal { return .refused(error) }
            guard state.commands < self.maximumCommands, state.bytes + command.size <= self.maximumBytes else {
                return .refused(
                    RedisError(
                        .tooManyWaiting,
                        "\(state.commands) commands with \(state.bytes) bytes wait for Redis already, which is too many"
                    ))
            }
            state.commands += 1
            state.bytes += state.batch.append(command, timeLimit: timeLimit, answer)
            defer { state.isCalled = true }
            return state.isCalled ? .more : .first
        }
    }

    /// All that waits, in order. The next offer calls the loop again.
    ///
    /// - Parameter batch: empty, with room from last time.
    func take(into batch: inout RedisBatch) {
        self.state.withLock { state in
            Swift.swap(&state.batch, &batch)
            state.isCalled = false
        }
    }

    /// Refuses what is offered from now on, until it is called with `nil`. Being closed is for ever.
    func refuse(_ error: RedisError?) {
        self.state.withLock { if $0.refusal?.code != .closed { $0.refusal = error } }
    }

    /// Some of what was taken is answered, or failed.
    func done(commands: Int, bytes: Int) {
        self.state.withLock { state in
            state.commands -= commands
            state.bytes -= bytes
        }
    }
}
