#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Wall clock time as Python's `time.time()` tells it.
enum RedisClock {
    /// Seconds since 1970.
    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// The times that messages of one process are stored under: strictly increasing, because messages of equal time have no
/// order.
struct RedisScores {
    private var last = 0.0

    /// - Parameter now: seconds since 1970.
    mutating func next(_ now: Double) -> Double {
        self.last = max(now, self.last.nextUp)
        return self.last
    }
}
