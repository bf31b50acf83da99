import Logging
import Synchronization

/// Keeps the lines of a log, so that a test can wait for one.
final class LogRecorder: Sendable {
    struct Line: Sendable {
        let level: Logger.Level
        let message: String
        let metadata: [String: String]

        subscript(_ key: String) -> String? { self.metadata[key] }
    }

    private struct Waiter {
        let message: String
        let count: Int
        let continuation: CheckedContinuation<Line, Never>
    }

    private struct State {
        var lines: [Line] = []
        var waiters: [Waiter] = []

        func line(_ message: String, _ count: Int) -> Line? {
            self.lines.filter { $0.message == message }.dropFirst(count - 1).first
        }
    }

    private let state = Mutex(State())

    /// A logger, at every level, whose lines come here.
    var logger: Logger { Logger(label: "test") { _ in Handler(recorder: self) } }

    /// The lines with this message so far.
    func lines(_ message: String) -> [Line] { self.state.withLock { $0.lines.filter { $0.message == message } } }

    /// Waits for the line with this message, or for its `count`th.
    @discardableResult
    func line(_ message: String, count: Int = 1) async -> Line {
        await withCheckedContinuation { continuation in
            let found = self.state.withLock { state in
                let found = state.line(message, count)
                if found == nil {
                    state.waiters.append(Waiter(message: message, count: count, continuation: continuation))
                }
                return found
            }
            if let found { continuation.resume(returning: found) }
        }
    }

    private func keep(_ line: Line) {
        let due = self.state.withLock { state in
            state.lines.append(line)
            var due: [(CheckedContinuation<Line, Never>, Line)] = []
            var left: [Waiter] = []
            for waiter in state.waiters {
                if let line = state.line(waiter.message, waiter.count) {
                    due.append((waiter.continuation, line))
                } else {
                    left.append(waiter)
                }
            }
            state.waiters = left
            return due
        }
        for (continuation, line) in due { continuation.resume(returning: line) }
    }

    private struct Handler: LogHandler {
        let recorder: LogRecorder
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { self.metadata[key] }
            set { self.metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            self.recorder.keep(
                Line(
                    level: event.level, message: event.message.description,
                    metadata: (event.metadata ?? [:]).mapValues(\.description)))
        }
    }
}
