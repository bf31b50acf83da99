import Glibc

/// The time of day.
enum WallClock {
    /// Seconds since 1970.
    static let seconds: @Sendable () -> Int64 = { Int64(time(nil)) }
}
