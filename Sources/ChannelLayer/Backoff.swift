/// How long to wait before the next attempt to connect: any time up to a bound that doubles (full jitter), so that many
/// processes that lost the same broker do not all come back in the same moment.
package struct Backoff: Sendable {
    /// The bound before the second attempt; the first one is made at once.
    package var first: Duration
    /// No bound is larger. A broker that is back is found after this time at the latest.
    package var most: Duration

    package init(first: Duration = .milliseconds(50), most: Duration = .seconds(1)) {
        self.first = first
        self.most = most
    }

    /// - Parameters:
    ///   - failures: attempts that failed in a row, at least 1.
    ///   - random: 0 to 1.
    package func delay(after failures: Int, random: Double) -> Duration {
        let doublings = min(max(failures - 1, 0), 20)
        return min(self.first * (1 << doublings), self.most) * random
    }
}
