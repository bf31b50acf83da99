import JSON
package import Logging
import NIOCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// How log lines look.
package enum LogFormat: String, CaseIterable, Sendable {
    /// `2026-01-02T03:04:05.678Z notice gateway: Started address=http://127.0.0.1:8001 layer=memory`
    case text
    /// `{"time":"2026-01-02T03:04:05.678Z","level":"notice","logger":"gateway","message":"Started",…}`
    case json
}

/// The least severe level that is logged, for all loggers of a process; can be changed while they are in use.
package final class LogThreshold: Sendable {
    private let index: Atomic<Int>

    package init(_ level: Logger.Level) { self.index = Atomic(Self.levels.firstIndex(of: level) ?? 0) }

    package var level: Logger.Level {
        get { Self.levels[self.index.load(ordering: .relaxed)] }
        set { self.index.store(Self.levels.firstIndex(of: newValue) ?? 0, ordering: .relaxed) }
    }

    private static let levels = Logger.Level.allCases
}

/// Writes each event as one line to a descriptor, with one system call, so that lines of several threads and processes
/// do not mix. Whatever somebody manages to get into a value, it stays within its line.
package struct LineLogHandler: LogHandler {
    package var logLevel: Logger.Level {
        get { self.ownLevel ?? self.threshold.level }
        set { self.ownLevel = newValue }
    }
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let threshold: LogThreshold
    private var ownLevel: Logger.Level?
    private let label: String
    private let format: LogFormat
    private let descriptor: CInt

    /// - Parameters:
    ///   - label: what part of the program speaks.
    ///   - threshold: the process's level, which counts until a logger is given one of its own.
    ///   - descriptor: standard error by default.
    package init(label: String, format: LogFormat, threshold: LogThreshold, descriptor: CInt = 2) {
        self.label = label
        self.format = format
        self.threshold = threshold
        self.descriptor = descriptor
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var metadata = self.metadata
        if let provided = self.metadataProvider?.get() { metadata.merge(provided) { $1 } }
        if let own = event.metadata { metadata.merge(own) { $1 } }
        if let error = event.error, metadata[LogKey.error] == nil { metadata[LogKey.error] = "\(error)" }
        var line = LogLine.line(
            time: LogLine.now(), level: event.level, label: self.label, message: event.message.description,
            metadata: metadata.map { ($0.key, $0.value.description) }.sorted { $0.0 < $1.0 }, format: self.format)
        self.write(&line)
    }

    private func write(_ line: inout ByteBuffer) {
        while line.readableBytes > 0 {
            let written = line.withUnsafeReadableBytes { bytes in
                #if canImport(Glibc)
                    Glibc.write(self.descriptor, bytes.baseAddress, bytes.count)
                #elseif canImport(Musl)
                    Musl.write(self.descriptor, bytes.baseAddress, bytes.count)
                #else
                    Darwin.write(self.descriptor, bytes.baseAddress, bytes.count)
                #endif
            }
            if written > 0 {
                line.moveReaderIndex(forwardBy: written)
            } else if errno != EINTR {
                // Nobody reads the log; the work must go on.
                return
            }
        }
    }
}

/// The text of a log line.
enum LogLine {
    static func line(
        time: String, level: Logger.Level, label: String, message: String, metadata: [(String, String)],
        format: LogFormat
    ) -> ByteBuffer {
        var line = ByteBuffer()
        switch format {
        case .text:
            line.writeString("\(time) \(level.rawValue) \(label): ")
            line.writeBytes(Self.escaped(message))
            for (key, value) in metadata {
                line.writeStaticString(" ")
                line.writeBytes(Self.escaped(key))
                line.writeStaticString("=")
                self.writeValue(value, into: &line)
            }
            line.writeStaticString("\n")
        case .json:
            let fixed = [("time", time), ("level", level.rawValue), ("logger", label), ("message", message)]
            for (index, (key, value)) in (fixed + metadata).enumerated() {
                line.writeStaticString(index == 0 ? "{" : ",")
                line.writeJSONString(key)
                line.writeStaticString(":")
                line.writeJSONString(value)
            }
            line.writeStaticString("}\n")
        }
        return line
    }

    /// Quoted when it would not read as one word.
    private static func writeValue(_ value: String, into line: inout ByteBuffer) {
        let isWord =
            !value.isEmpty && value.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") }
        guard !isWord else {
            line.writeBytes(self.escaped(value))
            return
        }
        line.writeStaticString("\"")
        line.writeBytes(self.escaped(value, quotes: true))
        line.writeStaticString("\"")
    }

    /// Without control characters, also those that a terminal would obey.
    private static func escaped(_ text: String, quotes: Bool = false) -> String.UTF8View {
        guard text.unicodeScalars.contains(where: { Self.mustEscape($0) || (quotes && ($0 == "\"" || $0 == "\\")) })
        else {
            return text.utf8
        }
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": escaped += "\\n"
            case "\"" where quotes, "\\" where quotes: escaped += "\\\(scalar)"
            case _ where Self.mustEscape(scalar): escaped += "\\u{\(String(scalar.value, radix: 16))}"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped.utf8
    }

    /// Control characters, line and paragraph separators, and what turns the direction of writing.
    private static func mustEscape(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    /// The time now, in UTC, to the millisecond.
    static func now() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Self.time(seconds: Int(now.tv_sec), milliseconds: Int(now.tv_nsec) / 1_000_000)
    }

    /// RFC 3339.
    static func time(seconds: Int, milliseconds: Int) -> String {
        var clock = time_t(seconds)
        var parts = tm()
        gmtime_r(&clock, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let fraction =
            milliseconds < 10 ? "00\(milliseconds)" : milliseconds < 100 ? "0\(milliseconds)" : "\(milliseconds)"
        return "\(parts.tm_year + 1_900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T"
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(fraction)Z"
    }
}
