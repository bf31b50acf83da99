package import NIOCore

/// How much of something one connection may use: so much a second, and so much at once after a pause.
package struct RateLimit: Hashable, Sendable {
    /// Nanoseconds that one unit costs, 0 for no limit.
    fileprivate let cost: Double
    /// Nanoseconds that a full bucket is worth.
    fileprivate let burst: Double

    /// No limit.
    package static let unlimited = RateLimit(perSecond: 0, burst: 0)

    /// - Parameters:
    ///   - perSecond: units (messages, bytes) that flow in each second; 0 means no limit.
    ///   - burst: units a bucket holds; at least one second's worth is sensible.
    package init(perSecond: Int, burst: Int) {
        self.cost = perSecond > 0 ? 1e9 / Double(perSecond) : 0
        self.burst = self.cost * Double(max(burst, 1))
    }
}

/// A token bucket of one connection, kept as the one moment when it is full again (8 bytes; the "generic cell rate
/// algorithm" of ITU-T I.371). The clock comes in with every call.
package struct RateMeter: Sendable {
    /// Nanoseconds of the host's monotonic clock, so that another process can go on with it.
    package private(set) var fullAt: UInt64 = 0

    package init() {}
    package init(fullAt: UInt64) { self.fullAt = fullAt }

    /// Takes `units` out of the bucket.
    ///
    /// - Returns: `false` when there are not that many; nothing is taken then. More than `burst` at once never passes.
    package mutating func take(_ units: Int = 1, at now: NIODeadline, limit: RateLimit) -> Bool {
        guard limit.cost > 0 else { return true }
        let now = now.uptimeNanoseconds
        // Bounded by 2^62 before it becomes an integer: a whole century.
        let price = min(limit.cost * Double(max(units, 0)), 0x1p62)
        let (after, overflow) = max(self.fullAt, now).addingReportingOverflow(UInt64(price))
        guard !overflow, Double(after - now) <= limit.burst else { return false }
        self.fullAt = after
        return true
    }
}
