import NIOCore

/// How this process reads one normal channel: only while somebody waits for a message, and one message for each who does,
/// so that none is kept from other processes.
///
/// A message is handed over once the broker has surely taken the acknowledgement: whoever has it is the only one. For that a
/// question follows the acknowledgement, and its answer proves that the broker has come so far.
struct NormalChannel<Message> {
    private enum State { case idle, consuming, cancelling }

    /// What to say to the broker.
    enum Step: Equatable {
        case consume, cancel
        case acknowledge(UInt64)
        /// The question whose answer is `claimed`.
        case barrier
        case requeue(UInt64)
    }

    private var state = State.idle
    private var claims = CircularBuffer<Message>()

    /// Messages that were acknowledged, but perhaps not heard of by the broker.
    var claimCount: Int { self.claims.count }

    /// - Parameter demand: readers who have no message coming.
    mutating func update(demand: Int) -> [Step] {
        switch self.state {
        case .idle where demand > 0:
            self.state = .consuming
            return [.consume]
        case .consuming where demand <= 0:
            self.state = .cancelling
            return [.cancel]
        case .idle, .consuming, .cancelling: return []
        }
    }

    /// A message came. With the last reader served, the consumer ends *before* the acknowledgement makes room for another.
    mutating func arrived(_ message: Message, _ number: UInt64, demand: Int) -> [Step] {
        guard demand > 0 else { return [.requeue(number)] }
        self.claims.append(message)
        guard demand == 1, case .consuming = self.state else { return [.acknowledge(number), .barrier] }
        self.state = .cancelling
        return [.cancel, .acknowledge(number), .barrier]
    }

    /// The broker has ended the consumer.
    mutating func cancelled(demand: Int) -> [Step] {
        self.state = .idle
        return self.update(demand: demand)
    }

    /// The answer to a barrier: the oldest claimed message is ours.
    mutating func claimed() -> Message? { self.claims.popFirst() }
}
