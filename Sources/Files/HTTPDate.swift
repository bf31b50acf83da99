import Glibc

/// Dates as HTTP writes them: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
package enum HTTPDate {
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// - Parameter seconds: since 1970-01-01 00:00:00 UTC.
    package static func text(_ seconds: Int) -> String {
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        let day = HTTPDate.days[Int(parts.tm_wday) % 7]
        let month = HTTPDate.months[Int(parts.tm_mon) % 12]
        return "\(day), \(padded(parts.tm_mday)) \(month) \(Int(parts.tm_year) + 1900) "
            + "\(padded(parts.tm_hour)):\(padded(parts.tm_min)):\(padded(parts.tm_sec)) GMT"
    }

    /// The present time.
    package static func now() -> String { HTTPDate.text(time(nil)) }

    /// - Returns: seconds since 1970, or `nil` for anything but the one form that senders must use.
    package static func seconds(_ text: String) -> Int? {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 6, words[0].hasSuffix(","), words[5] == "GMT",
            HTTPDate.days.contains(String(words[0].dropLast())),
            let day = HTTPDate.number(words[1], digits: 2), (1...31).contains(day),
            let month = HTTPDate.months.firstIndex(of: String(words[2])),
            let year = HTTPDate.number(words[3], digits: 4), year >= 1970
        else { return nil }
        let clock = words[4].split(separator: ":", omittingEmptySubsequences: false)
        guard clock.count == 3,
            let hour = HTTPDate.number(clock[0], digits: 2), hour < 24,
            let minute = HTTPDate.number(clock[1], digits: 2), minute < 60,
            let second = HTTPDate.number(clock[2], digits: 2), second <= 60
        else { return nil }
        var parts = tm()
        parts.tm_year = Int32(year - 1900)
        parts.tm_mon = Int32(month)
        parts.tm_mday = Int32(day)
        parts.tm_hour = Int32(hour)
        parts.tm_min = Int32(minute)
        parts.tm_sec = Int32(second)
        return timegm(&parts)
    }

    private static func number(_ text: Substring, digits: Int) -> Int? {
        guard text.utf8.count == digits, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text)
    }

    private static func padded(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
