import ArgumentParser
import Settings

/// A time on the command line, written as in the settings.
enum TimeOption {
    static func read(_ text: String) throws -> Duration {
        guard let duration = DurationText.duration(text) else {
            throw ValidationError("\"\(text)\" is no time; wanted a number and one of ms, s, m, h, d, as in 30s")
        }
        return duration
    }
}
