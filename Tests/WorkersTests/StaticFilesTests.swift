import Foundation
import Files
import HTTP1
import NIOCore
import TestSupport
import Testing

@testable import Workers

/// A folder with files and traps in it.
final class StaticFilesTests {
    private let folder: TestFolder
    private let files: StaticFiles
    private let big = String(repeating: "0123456789abcdef", count: 20_000)

    init() throws {
        self.folder = try TestFolder()
        let root = self.folder.url
        let folder = root.appendingPathComponent("public")
        try FileManager.default.createDirectory(
            at: folder.appendingPathComponent("a b"), withIntermediateDirectories: true)
        func write(_ name: String, _ text: String) throws {
            try Data(text.utf8).write(to: folder.appendingPathComponent(name))
        }
        try Data("secret".utf8).write(to: root.appendingPathComponent("secret.txt"))
        try write("style.css", "body{}")
        try write("a b/index.html", "<p>index")
        try write(".hidden", "hidden")
        try write("big.bin", self.big)
        try write("empty.txt", "")
        symlink(root.appendingPathComponent("secret.txt").path, folder.appendingPathComponent("link.txt").path)
        symlink(root.path, folder.appendingPathComponent("up").path)
        mkfifo(folder.appendingPathComponent("pipe").path, 0o600)
        self.files = StaticFiles(folder: folder.path, under: "/static/", cacheControl: "max-age=60")
    }

    private func get(_ path: String, _ fields: [(String, String)] = [], method: String = "GET") throws -> WorkerResponse
    {
        try self.files.respond(to: WorkerRequest(method: method, path: path, fields: HeaderFields(fields)))
    }

    @Test func aFileIsServedWithItsTypeAndTags() throws {
        let response = try self.get("/static/style.css")
        #expect(response.status == 200 && response.text == "body{}")
        #expect(response.fields["Content-Type"] == "text/css; charset=utf-8")
        #expect(response.fields["Cache-Control"] == "max-age=60")
        #expect(response.fields["X-Content-Type-Options"] == "nosniff")
        #expect(response.fields["Last-Modified"].flatMap(HTTPDate.seconds) != nil)
    }

    @Test(arguments: [
        "/static/../secret.txt", "/static/a b/../../secret.txt", "/static/..", "/static/.", "/static/./style.css",
        "/static//style.css", "/static//etc/passwd", "/static/.hidden", "/static/link.txt", "/static/up/secret.txt",
        "/static/up/", "/static/pipe", "/static/missing", "/static/style.css/", "/static/style.css/x",
        "/other/style.css",
        "/static/", "/static/a b\\..\\..\\secret.txt", "/static/\(String(repeating: "x", count: 300))",
        "/static/\(String(repeating: "a b/", count: 2000))x",
    ])
    func nothingElseCanBeReached(_ path: String) throws {
        #expect(try self.get(path).status == 404)
    }

    @Test func aFolderIsItsIndex() throws {
        #expect(try self.get("/static/a b/").text == "<p>index")
        let moved = try self.get("/static/a b")
        #expect(moved.status == 301 && moved.fields["Location"] == "/static/a%20b/")
    }

    @Test func whoHasItAlreadyIsToldSo() throws {
        let first = try self.get("/static/style.css").fields
        let tag = try #require(first["ETag"])
        let modified = try #require(first["Last-Modified"])
        for field in [tag, "W/\(tag)", "\"x\", \(tag)", "*"] {
            #expect(try self.get("/static/style.css", [("If-None-Match", field)]).status == 304)
        }
        #expect(try self.get("/static/style.css", [("If-None-Match", "\"x\"")]).status == 200)
        #expect(try self.get("/static/style.css", [("If-Modified-Since", modified)]).status == 304)
        #expect(
            try self.get("/static/style.css", [("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")]).status == 200)
        // The tag counts more than the date (RFC 9110 section 13.2.2).
        #expect(
            try self.get("/static/style.css", [("If-None-Match", "\"x\""), ("If-Modified-Since", modified)]).status
                == 200)
    }

    @Test func partsAreServed() throws {
        let part = try self.get("/static/style.css", [("Range", "bytes=1-2")])
        #expect(part.status == 206 && part.text == "od")
        #expect(part.fields["Content-Range"] == "bytes 1-2/6")
        let none = try self.get("/static/style.css", [("Range", "bytes=6-")])
        #expect(none.status == 416 && none.fields["Content-Range"] == "bytes */6")
        #expect(try self.get("/static/style.css", [("Range", "bytes=0-1"), ("If-Range", "\"old\"")]).status == 200)
        #expect(try self.get("/static/empty.txt", [("Range", "bytes=0-")]).status == 416)
    }

    @Test func rangesAreReadAsTheRFCHasThem() {
        let cases: [(String?, ByteRange)] = [
            (nil, .whole), ("bytes=0-0", .part(0..<1)), ("bytes=2-", .part(2..<10)), ("bytes=-3", .part(7..<10)),
            ("bytes=-30", .part(0..<10)), ("bytes=5-100", .part(5..<10)), ("bytes=10-", .unsatisfiable),
            ("bytes=-0", .unsatisfiable), ("bytes=3-2", .whole), ("bytes=0-1,3-4", .whole), ("lines=1-2", .whole),
            ("bytes=", .whole), ("bytes=-", .whole), ("bytes=a-b", .whole), ("bytes=1", .whole),
            ("bytes=0-9223372036854775807", .part(0..<10)), ("bytes=0-99999999999999999999", .whole),
            ("bytes=99999999999999999999-", .whole),
        ]
        for (field, range) in cases { #expect(ByteRange(field, size: 10) == range, "\(field ?? "none")") }
    }

    @Test func onlyReadingIsAllowed() throws {
        let response = try self.get("/static/style.css", method: "POST")
        #expect(response.status == 405 && response.fields["Allow"] == "GET, HEAD")
    }

    @Test(.timeLimit(.minutes(1))) func aBigFileIsStreamedWithItsLength() async throws {
        let big = self.big
        try await withServer(self.files) { server in
            let answer = try await server.get("/static/big.bin")
            #expect(answer["Content-Length"] == "\(big.utf8.count)")
            #expect(answer.body == big)
            let head = try await server.connect()
            try head.send("HEAD /static/big.bin HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(try await head.answer(toHead: true)["Content-Length"] == "\(big.utf8.count)")
        }
    }
}
