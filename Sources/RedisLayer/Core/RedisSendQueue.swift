import ChannelLayer
import NIOCore
import Synchronization

/// A message on its way to Redis.
struct RedisOutgoing: Sendable {
    enum Target: Sendable, Hashable {
        case channel(ChannelName)
        case group(GroupName)
        /// To be kept as well.
        case publication(GroupName)

        var name: String {
            switch self {
            case .channel(let channel): channel.text
            case .group(let group), .publication(let group): group.text
            }
        }
    }

    let target: Target
    /// To be stored; without the list of receivers for a group, and up to its position for one that is kept.
    let bytes: ByteBuffer
    /// The time it is stored under, seconds since 1970.
    var score: Double
    let completion: (@Sendable (LayerError?) -> Void)?
    /// Set for a publication, whose outcome is told there.
    var publication: RedisPublication?
}

/// What waits to be sent, offered by any thread and taken by the layer's event loop. What is offered while the loop is
/// busy goes out together.
final class RedisSendQueue: Sendable {
    enum Offer {
        /// It waits, and the loop must be told.
        case first
        /// It waits; the loop knows.
        case more
        case refused(LayerError)
    }

    private struct State {
        var scores = RedisScores()
        var waiting: [RedisOutgoing] = []
        var bytes = 0
        var isClosed = false
    }

    private static let maximumMessages = 262_144
    private static let maximumBytes = 64 << 20
    private let state = Mutex(State())

    /// - Parameter outgoing: its score is the present time; it becomes one that is later than every other.
    func offer(_ outgoing: RedisOutgoing) -> Offer {
        self.state.withLock { state in
            guard !state.isClosed else { return .refused(RedisLayer.closed) }
            guard state.waiting.count < Self.maximumMessages, state.bytes < Self.maximumBytes else {
                return .refused(
                    LayerError(.unavailable, "\(state.waiting.count) messages wait to be sent, which is too many"))
            }
            var outgoing = outgoing
            outgoing.score = state.scores.next(outgoing.score)
            state.bytes += outgoing.bytes.readableBytes
            state.waiting.append(outgoing)
            return state.waiting.count == 1 ? .first : .more
        }
    }

    /// All that waits, in order. The next offer calls the loop again.
    ///
    /// - Parameter messages: empty, with room from last time.
    func take(into messages: inout [RedisOutgoing]) {
        self.state.withLock { state in
            Swift.swap(&state.waiting, &messages)
            state.bytes = 0
        }
    }

    /// Refuses what is offered from now on.
    func close() { self.state.withLock { $0.isClosed = true } }

    var isClosed: Bool { self.state.withLock { $0.isClosed } }
}
