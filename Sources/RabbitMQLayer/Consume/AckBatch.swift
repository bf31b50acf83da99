/// Acknowledges many deliveries with one method.
struct AckBatch {
    private var last: UInt64 = 0
    private var count = 0
    private let limit: Int

    /// - Parameter prefetch: deliveries that may be without acknowledgement.
    init(prefetch: Int) { self.limit = max(1, min(prefetch / 4, 500)) }

    /// - Returns: what to acknowledge, together with everything before.
    mutating func add(_ number: UInt64) -> UInt64? {
        self.last = number
        self.count += 1
        return self.count >= self.limit ? self.flush() : nil
    }

    /// What is left to acknowledge: a broker closes an AMQP channel where something waits for it too long (30 minutes).
    mutating func flush() -> UInt64? {
        guard self.count > 0 else { return nil }
        self.count = 0
        return self.last
    }
}
