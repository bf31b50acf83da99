import JSON

extension SettingKind where Value == Duration {
    /// A time: `"250ms"`, `"30s"`, `"5m"`, `"1h"`, `"7d"`; a number alone is seconds.
    package static func duration(in range: ClosedRange<Duration>) -> SettingKind<Duration> {
        let wanted = "\(DurationText.text(range.lowerBound)) to \(DurationText.text(range.upperBound))"
        @Sendable func check(_ duration: Duration?) throws(SettingMismatch) -> Duration {
            guard let duration else {
                throw SettingMismatch("wanted \(wanted); a time is a number and one of ms, s, m, h, d, as in \"30s\"")
            }
            guard range.contains(duration) else { throw SettingMismatch(wanted: wanted) }
            return duration
        }
        return SettingKind(
            wanted: wanted,
            json: { json throws(SettingMismatch) in
                switch json.kind {
                case .string(let text): try check(DurationText.duration(text))
                case .integer(let seconds): try check(DurationText.seconds(seconds))
                case .double(let seconds): try check(DurationText.seconds(seconds))
                default: try check(nil)
                }
            },
            text: { text throws(SettingMismatch) in try check(DurationText.duration(trimmed(text))) },
            write: { JSONValue(.string(DurationText.text($0))) }
        )
    }
}

/// Times as people write them.
package enum DurationText {
    private static let units: [(name: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]
    /// A year of days is longer than any time that is meant; more could overflow a sum.
    private static let longest: Int64 = 366 * 86_400_000

    /// `nil` for what is no time, is negative, or longer than a year.
    package static func duration(_ text: String) -> Duration? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int64(digits) else { return nil }
        let unit = trimmed(text.dropFirst(digits.count))
        if unit.isEmpty { return self.seconds(number) }
        guard let size = self.units.first(where: { $0.name == unit })?.milliseconds else { return nil }
        return self.milliseconds(number, times: size)
    }

    static func seconds(_ number: Int64) -> Duration? { self.milliseconds(number, times: 1_000) }

    static func seconds(_ number: Double) -> Duration? {
        guard number >= 0, number <= Double(self.longest) / 1_000 else { return nil }
        return .milliseconds(Int64((number * 1_000).rounded()))
    }

    private static func milliseconds(_ number: Int64, times size: Int64) -> Duration? {
        let (product, isTooLarge) = number.multipliedReportingOverflow(by: size)
        guard !isTooLarge, (0...self.longest).contains(product) else { return nil }
        return .milliseconds(product)
    }

    /// The shortest text without a fraction; below a millisecond nothing is told.
    package static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let fraction = attoseconds / 1_000_000_000_000_000
        guard fraction == 0 else {
            return "\(seconds.multipliedReportingOverflow(by: 1_000).partialValue &+ fraction)ms"
        }
        for (name, milliseconds) in self.units.dropFirst(2).reversed() {
            let size = milliseconds / 1_000
            if seconds >= size, seconds % size == 0 { return "\(seconds / size)\(name)" }
        }
        return "\(seconds)s"
    }
}
