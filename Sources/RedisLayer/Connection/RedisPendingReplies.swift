import NIOCore

/// The commands of one connection whose answers are still to come, the oldest first. Answers come in their order.
///
/// Only the oldest is watched by the clock: its time runs from when it was sent, or from the answer before it, whichever
/// is later. A server that is busy with a long command is so not blamed for those behind it.
struct RedisPendingReplies {
    struct Entry {
        /// Called once, on the connection's loop.
        let completion: (Result<RedisReply, RedisError>) -> Void
        let timeLimit: TimeAmount
        /// Bytes of the command, for the account of what waits.
        let size: Int
        /// The command itself when it runs a script, to send it again should the server not know the script.
        let scripted: RedisCommand?
    }

    private var entries = CircularBuffer<Entry>(initialCapacity: 64)
    private var oldestSince = NIODeadline.uptimeNanoseconds(0)

    var count: Int { self.entries.count }
    var isEmpty: Bool { self.entries.isEmpty }

    /// When the oldest answer is late; `nil` when none is due.
    var deadline: NIODeadline? { self.entries.first.map { self.oldestSince + $0.timeLimit } }

    mutating func append(_ entry: Entry, now: NIODeadline) {
        if self.entries.isEmpty { self.oldestSince = now }
        self.entries.append(entry)
    }

    /// The command that the answer which just came belongs to; `nil` when nothing was asked.
    mutating func popFirst(now: NIODeadline) -> Entry? {
        self.oldestSince = now
        return self.entries.popFirst()
    }

    /// All, in order; none is left.
    mutating func takeAll() -> [Entry] {
        defer { self.entries.removeAll() }
        return Array(self.entries)
    }
}
