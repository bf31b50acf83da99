import Foundation
import NIOCore
import TestSupport
import Testing

@testable import Router
@testable import Upstream

/// The line of each request, and what happens when it cannot be written.
@Suite(.timeLimit(.minutes(1))) struct AccessLogTests {
    /// The log's lines once there are `count` of them.
    private static func lines(_ file: URL, _ count: Int) throws -> [String] {
        let limit = Date(timeIntervalSinceNow: 10)
        while Date() < limit {
            let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
            let lines = text.split(separator: "\n").map(String.init)
            if lines.count >= count, text.hasSuffix("\n") { return lines }
            Thread.sleep(forTimeInterval: 0.002)  // between two looks at the disk, not for the router
        }
        throw Socket.Failure(description: "there are fewer than \(count) lines")
    }

    @Test func aLineSaysWhatWasAskedAndAnswered() async throws {
        try await withTestFolder { folder in
            let file = folder.appending(path: "access.log")
            let upstream = try FakeUpstream.answering { _ in ok("hello") }
            var settings = configuration([upstream.address])
            settings.accessLog = AccessLogConfiguration(target: .file(file.path))
            try await withRouter(settings) { router throws in
                _ = try router.get("/a?b=%22\"c", "User-Agent: odd \"agent\" \u{e9}\r\nReferer: http://b/\r\n")
                let line = try #require(try Self.lines(file, 1).first)
                #expect(line.hasPrefix("127.0.0.1 - - ["))
                #expect(
                    line.contains(
                        "] \"GET /a?b=%22\\x22c HTTP/1.1\" 200 5 \"http://b/\" \"odd \\x22agent\\x22 \\xc3\\xa9\" "))
                #expect(line.hasSuffix(" \(upstream.address)") && line.contains(" example.org "))
                let browser = try router.connect()
                try browser.send("nonsense\r\n\r\n")
                #expect(try browser.readMessage().status == 400)
                #expect(try Self.lines(file, 2)[1].contains("\"- - -\" 400 0"))
            }
        }
    }

    @Test func aLineOfJSONIsJSON() async throws {
        try await withTestFolder { folder in
            let file = folder.appending(path: "access.log")
            let upstream = try FakeUpstream.answering { _ in ok("hello") }
            var settings = configuration([upstream.address])
            settings.accessLog = AccessLogConfiguration(target: .file(file.path), format: .json)
            try await withRouter(settings) { router throws in
                _ = try router.get("/x\"y", "User-Agent: \"\\\t\r\n")
                let line = try #require(try Self.lines(file, 1).first)
                let json = try #require(
                    try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: any Sendable])
                #expect(json["target"] as? String == "/x\"y" && json["status"] as? Int == 200)
                #expect(json["bytes"] as? Int == 5 && json["user_agent"] as? String == "\"\\")
                #expect((json["request_id"] as? String)?.count == 32 && json["seconds"] is Double)
            }
        }
    }

    @Test func theFileIsOpenedAnewWhenItWasMovedAway() async throws {
        try await withTestFolder { folder in
            let (file, old) = (folder.appending(path: "access.log"), folder.appending(path: "old.log"))
            let upstream = try FakeUpstream.answering { _ in ok("hello") }
            var settings = configuration([upstream.address])
            settings.accessLog = AccessLogConfiguration(target: .file(file.path))
            try await withRouter(settings) { router throws in
                _ = try router.get("/1")
                _ = try Self.lines(file, 1)
                try FileManager.default.moveItem(at: file, to: old)
                router.router.reopenLogs()
                _ = try router.get("/2")
                #expect(try Self.lines(file, 1)[0].contains("GET /2 "))
                #expect(try Self.lines(old, 1).count == 1)
            }
        }
    }

    @Test func aFullDiskStopsNothing() async throws {
        let upstream = try FakeUpstream.answering { _ in ok("hello") }
        var settings = configuration([upstream.address])
        settings.accessLog = AccessLogConfiguration(target: .file("/dev/full"))
        try await withRouter(settings) { router throws in
            let browser = try router.connect()
            for _ in 0..<300 {
                try browser.send(
                    "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \(String(repeating: "x", count: 500))\r\n\r\n")
                #expect(try browser.readMessage().body == "hello")
            }
        }
    }

    @Test func aFileThatCannotBeOpenedIsToldAtTheStart() async throws {
        var settings = configuration([])
        settings.accessLog = AccessLogConfiguration(target: .file("/nowhere/access.log"))
        let error = await #expect(throws: AccessLogError.self) { try await withRouter(settings) { _ in } }
        #expect(error?.description.contains("/nowhere/access.log") == true)
    }
}
