import HTTP1
import JSON
import NIOCore
import NIOPosix
import Telemetry

/// One request, for its line.
struct AccessEntry {
    var address: String
    var user: String?
    var method: String
    var target: String
    /// `HTTP/1.1`
    var version: StaticString
    var status: Int
    /// Bytes of the answer's body that went to the browser.
    var bytes: Int
    var referer: String?
    var userAgent: String?
    var host: String?
    var requestID: String
    var upstream: String?
    var duration: TimeAmount
}

/// Makes lines of the requests of one event loop, and hands them on some times a second. Used on that loop only.
final class AccessLogLines {
    /// Lines are handed on when there are so many bytes of them, or after `delay`.
    private static let bytes = 32_768
    private static let delay = TimeAmount.milliseconds(100)

    private let log: AccessLog
    private let eventLoop: any EventLoop
    private var lines = ByteBuffer()
    private var count = 0
    private var isScheduled = false
    private var clock = SecondClock()

    init(_ log: AccessLog, eventLoop: any EventLoop) {
        self.log = log
        self.eventLoop = eventLoop
    }

    func add(_ entry: AccessEntry) {
        switch self.log.configuration.format {
        case .text: self.lines.writeText(entry, time: self.clock.text())
        case .json: self.lines.writeJSON(entry, time: self.clock.iso())
        }
        self.count += 1
        if self.lines.readableBytes >= Self.bytes { return self.handOn() }
        guard !self.isScheduled else { return }
        self.isScheduled = true
        self.eventLoop.assumeIsolated().scheduleTask(in: Self.delay) {
            self.isScheduled = false
            self.handOn()
        }
    }

    func handOn() {
        guard self.count > 0 else { return }
        self.log.write(self.lines, count: self.count)
        self.lines = ByteBuffer()
        self.lines.reserveCapacity(Self.bytes)
        self.count = 0
    }
}

extension ByteBuffer {
    fileprivate mutating func writeText(_ entry: AccessEntry, time: String) {
        self.writeString(entry.address.isEmpty ? "unix:" : entry.address)
        self.writeStaticString(" - ")
        self.writeWord(entry.user)
        self.writeStaticString(" [")
        self.writeString(time)
        self.writeStaticString("] \"")
        self.writeString(entry.method)
        self.writeStaticString(" ")
        self.writeEscaped(entry.target)
        self.writeStaticString(" ")
        self.writeStaticString(entry.version)
        self.writeStaticString("\" ")
        self.writeString("\(entry.status) \(entry.bytes) ")
        self.writeQuoted(entry.referer)
        self.writeStaticString(" ")
        self.writeQuoted(entry.userAgent)
        self.writeStaticString(" ")
        self.writeWord(entry.host)
        self.writeStaticString(" ")
        self.writeWord(entry.requestID)
        self.writeStaticString(" ")
        self.writeString(Self.seconds(entry.duration))
        self.writeStaticString(" ")
        self.writeWord(entry.upstream)
        self.writeStaticString("\n")
    }

    fileprivate mutating func writeJSON(_ entry: AccessEntry, time: String) {
        self.writeStaticString("{\"time\":\"")
        self.writeString(time)
        self.writeStaticString("\"")
        self.writeMember("remote_addr", entry.address.isEmpty ? "unix:" : entry.address)
        if let user = entry.user { self.writeMember("user", user) }
        self.writeMember("method", entry.method)
        self.writeMember("target", entry.target)
        self.writeMember("protocol", "\(entry.version)")
        self.writeString(",\"status\":\(entry.status),\"bytes\":\(entry.bytes)")
        self.writeString(",\"seconds\":\(Self.seconds(entry.duration))")
        if let host = entry.host { self.writeMember("host", host) }
        if let referer = entry.referer { self.writeMember("referer", referer) }
        if let userAgent = entry.userAgent { self.writeMember("user_agent", userAgent) }
        self.writeMember("request_id", entry.requestID)
        if let upstream = entry.upstream { self.writeMember("upstream", upstream) }
        self.writeStaticString("}\n")
    }

    private mutating func writeMember(_ name: StaticString, _ value: String) {
        self.writeStaticString(",\"")
        self.writeStaticString(name)
        self.writeStaticString("\":")
        self.writeJSONString(value)
    }

    private mutating func writeWord(_ text: String?) {
        if let text, !text.isEmpty { self.writeEscaped(text, spaces: true) } else { self.writeStaticString("-") }
    }

    private mutating func writeQuoted(_ text: String?) {
        self.writeStaticString("\"")
        if let text { self.writeEscaped(text) } else { self.writeStaticString("-") }
        self.writeStaticString("\"")
    }

    /// Whatever a browser sends stays within its quotes and its line, and no terminal obeys it.
    private mutating func writeEscaped(_ text: String, spaces: Bool = false) {
        let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }
        guard !isPlain else {
            self.writeString(text)
            return
        }
        for byte in text.utf8 {
            switch byte {
            case 0x20 where !spaces: self.writeInteger(byte)
            case 0x00...0x20, 0x22, 0x5C, 0x7F...0xFF:
                self.writeStaticString("\\x")
                self.writeInteger(Self.digit(byte >> 4))
                self.writeInteger(Self.digit(byte & 15))
            default: self.writeInteger(byte)
            }
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? value + 0x30 : value + 0x57 }

    /// Seconds with three digits behind the point.
    private static func seconds(_ time: TimeAmount) -> String {
        let milliseconds = max(0, time.nanoseconds / 1_000_000)
        let rest = String(milliseconds % 1_000)
        return "\(milliseconds / 1_000).\(String(repeating: "0", count: 3 - rest.utf8.count))\(rest)"
    }
}
