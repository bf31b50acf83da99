import NIOCore
import Synchronization

/// A command on its way, and whom to tell about its answer.
struct RedisRequest: Sendable {
    var command: RedisCommand
    var timeLimit: TimeAmount
    var completion: RedisClient.Completion
}

/// What waits to be sent, offered by any thread and taken by the event loop.
final class RedisOutbox: Sendable {
    private struct State {
        var requests: [RedisRequest] = []
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
    /// Commands and bytes that wait to be sent or answered.
    private let commands = Atomic<Int>(0)
    private let bytes = Atomic<Int>(0)
    private let options: RedisClientOptions

    init(_ options: RedisClientOptions) { self.options = options }

    func offer(_ request: RedisRequest) -> Offer {
        let size = request.command.size
        let commands = self.commands.wrappingAdd(1, ordering: .relaxed).newValue
        let bytes = self.bytes.wrappingAdd(size, ordering: .relaxed).newValue
        let refusal: RedisError?
        if commands > self.options.maximumCommands || bytes > self.options.maximumBytes {
            refusal = RedisError(
                .tooManyWaiting, "\(commands) commands with \(bytes) bytes wait for Redis already, which is too many")
        } else {
            refusal = nil
        }
        let offer = self.state.withLock { state -> Offer in
            if let error = state.refusal ?? refusal { return .refused(error) }
            state.requests.append(request)
            defer { state.isCalled = true }
            return state.isCalled ? .more : .first
        }
        if case .refused = offer { self.done(commands: 1, bytes: size) }
        return offer
    }

    /// All that waits, in order. The next offer calls the loop again.
    ///
    /// - Parameter requests: empty, with room from last time.
    func take(into requests: inout [RedisRequest]) {
        self.state.withLock { state in
            Swift.swap(&state.requests, &requests)
            state.isCalled = false
        }
    }

    /// Refuses what is offered from now on, until it is called with `nil`. Being closed is for ever.
    func refuse(_ error: RedisError?) {
        self.state.withLock { if $0.refusal?.code != .closed { $0.refusal = error } }
    }

    /// Some of what was taken is answered, or failed.
    func done(commands: Int, bytes: Int) {
        self.commands.wrappingSubtract(commands, ordering: .relaxed)
        self.bytes.wrappingSubtract(bytes, ordering: .relaxed)
    }
}
