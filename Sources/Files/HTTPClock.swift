import Glibc

/// The present time as HTTP writes it, made once a second. A value for one thread.
package struct HTTPClock {
    private var second = time_t(-1)
    private var text = ""

    package init() {}

    /// See `HTTPDate`.
    package mutating func now() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &now)
        if now.tv_sec != self.second {
            self.second = now.tv_sec
            self.text = HTTPDate.text(now.tv_sec)
        }
        return self.text
    }
}
