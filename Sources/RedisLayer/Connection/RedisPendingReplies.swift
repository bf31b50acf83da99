import NIOCore

/// The commands of one connection whose answers are still to come, the oldest first. Answers come in their order.
///
/// Only the oldest is watched by the clock: its time runs from when it was sent, or from the answer before it, whichever
/// is later. A server that is busy with a long command is so not blamed for those behind it.
struct RedisPendingReplies {
    private var requests = CircularBuffer<RedisRequest>(initialCapacity: 64)
    private var oldestSince = NIODeadline.uptimeNanoseconds(0)

    var count: Int { self.requests.count }
    var isEmpty: Bool { self.requests.isEmpty }

    /// When the oldest answer is late; `nil` when none is due.
    var deadline: NIODeadline? { self.requests.first.map { self.oldestSince + $0.timeLimit } }

    mutating func append(_ request: RedisRequest, now: NIODeadline) {
        if self.requests.isEmpty { self.oldestSince = now }
        self.requests.append(request)
    }

    /// The command that the answer which just came belongs to; `nil` when nothing was asked.
    mutating func popFirst(now: NIODeadline) -> RedisRequest? {
        self.oldestSince = now
        return self.requests.popFirst()
    }

    /// All, in order; none is left.
    mutating func takeAll() -> [RedisRequest] {
        defer { self.requests.removeAll() }
        return Array(self.requests)
    }
}
