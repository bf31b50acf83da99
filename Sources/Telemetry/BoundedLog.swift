package import Logging
import Synchronization

/// Logs what can happen a thousand times a second at a rate that a person can read: so many lines a second of each kind,
/// then one that says how many were left out.
package final class BoundedLog: Sendable {
    private struct Window {
        var began: ContinuousClock.Instant
        var lines = 0
        var omitted = 0
    }

    private let logger: Logger
    private let linesPerSecond: Int
    private let windows = Mutex<[String: Window]>([:])

    package init(_ logger: Logger, linesPerSecond: Int = 5) {
        self.logger = logger
        self.linesPerSecond = linesPerSecond
    }

    /// One that says nothing.
    package static var silent: BoundedLog { BoundedLog(Logger(label: "silent") { _ in SwiftLogNoOpLogHandler() }) }

    /// Another one to the same place, with a bound of its own.
    package func atMost(linesPerSecond: Int) -> BoundedLog { BoundedLog(self.logger, linesPerSecond: linesPerSecond) }

    /// - Parameter message: the fixed message; each has its own bound.
    package func log(
        _ level: Logger.Level, _ message: StaticString, metadata: @autoclosure () -> Logger.Metadata = [:],
        now: ContinuousClock.Instant = .now
    ) {
        guard level >= self.logger.logLevel else { return }
        let kind = "\(message)"
        let (isAllowed, omitted) = self.windows.withLock { windows -> (Bool, Int) in
            var window = windows[kind] ?? Window(began: now)
            defer { windows[kind] = window }
            var omitted = 0
            if now - window.began >= .seconds(1) {
                omitted = window.omitted
                window = Window(began: now)
            }
            guard window.lines < self.linesPerSecond else {
                window.omitted += 1
                return (false, 0)
            }
            window.lines += 1
            return (true, omitted)
        }
        guard isAllowed else { return }
        var metadata = metadata()
        if omitted > 0 { metadata["omitted"] = "\(omitted)" }
        self.logger.log(level: level, "\(message)", metadata: metadata)
    }
}
