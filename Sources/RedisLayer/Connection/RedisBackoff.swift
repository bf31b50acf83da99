import NIOCore

/// How long to wait before the next attempt to connect: any time up to a bound that doubles (full jitter), so that many
/// processes that lost the same server do not all come back in the same moment.
struct RedisBackoff: Sendable {
    /// The bound before the second attempt; the first one is made at once.
    var first: TimeAmount = .milliseconds(50)
    /// No bound is larger. A server that is back is found after this time at the latest.
    var most: TimeAmount = .milliseconds(500)

    /// - Parameters:
    ///   - failures: attempts that failed in a row, at least 1.
    ///   - random: 0 to 1.
    func delay(after failures: Int, random: Double) -> TimeAmount {
        let doublings = Int64(min(max(failures - 1, 0), 20))
        let bound = min(self.first.nanoseconds << doublings, self.most.nanoseconds)
        return .nanoseconds(Int64(Double(bound) * random))
    }
}
