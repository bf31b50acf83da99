import Files
import Glibc

/// The time of day as text, made once a second.
struct SecondClock {
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private var second = time_t(-1)
    private var written = ""
    private var start = ""
    private var date = ""

    /// `21/Nov/2026:10:02:03 +0000`, in UTC.
    mutating func text() -> String {
        self.look()
        return self.written
    }

    /// `Sat, 21 Nov 2026 10:02:03 GMT`
    mutating func httpDate() -> String {
        self.look()
        return self.date
    }

    /// `2026-11-21T10:02:03.004Z`
    mutating func iso() -> String {
        let milliseconds = String(self.look())
        return "\(self.start).\(String(repeating: "0", count: 3 - milliseconds.utf8.count))\(milliseconds)Z"
    }

    /// - Returns: the milliseconds of the second.
    @discardableResult
    private mutating func look() -> Int {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &now)
        if now.tv_sec != self.second {
            self.second = now.tv_sec
            var parts = tm()
            gmtime_r(&now.tv_sec, &parts)
            func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
            let time = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
            let month = Self.months[Int(parts.tm_mon) % 12]
            self.written = "\(two(parts.tm_mday))/\(month)/\(parts.tm_year + 1_900):\(time) +0000"
            self.date = HTTPDate.text(now.tv_sec)
            self.start = "\(parts.tm_year + 1_900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T\(time)"
        }
        return now.tv_nsec / 1_000_000
    }
}
