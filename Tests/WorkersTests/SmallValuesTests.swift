import Files
import HTTP1
import NIOCore
import Testing

@testable import Workers

/// Values that need no server.
struct SmallValuesTests {
    @Test func datesReadBackAsTheyWereWritten() {
        #expect(HTTPDate.text(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(HTTPDate.seconds("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
        for wrong in [
            "", "Sun, 06 Nov 1994 08:49:37", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov -994 08:49:37 GMT",
        ] {
            #expect(HTTPDate.seconds(wrong) == nil)
        }
    }

    @Test func theLongestPrefixAnswers() throws {
        let site: Routes = [
            "/": Ask { _ in .text("home") }, "/api/": Ask { _ in .text("api") }, "/api/v2/": Ask { _ in .text("v2") },
            "/about": Ask { _ in .text("about") },
        ]
        for (path, text) in [
            ("/", "home"), ("/api/x", "api"), ("/api/v2/x", "v2"), ("/api", "home"), ("/about", "about"),
            ("/about/x", "home"),
        ] {
            #expect(try site.respond(to: WorkerRequest(path: path)).text == text)
        }
        #expect(try Routes([]).respond(to: WorkerRequest(path: "/")).status == 404)
    }

    @Test func theServerFramesWhatTheApplicationAnswers() throws {
        func plan(
            _ response: WorkerResponse, isHead: Bool = false, _ version: HTTPVersion = .http11, isLast: Bool = false
        ) throws -> AnswerPlan {
            try AnswerPlan(
                response, to: AnswerTerms(isHead: isHead, version: version, keepAlive: true), isLast: isLast, date: "D")
        }
        var lying = WorkerResponse.text("abc")
        lying.fields.append("content-length", "99")
        lying.fields.append("Transfer-Encoding", "chunked")
        let honest = try plan(lying)
        func fields(_ plan: AnswerPlan) throws -> HeaderFields {
            var bytes = ByteBuffer()
            plan.writeHead(to: &bytes)
            var parser = ResponseHeadParser()
            return try #require(try parser.parse(&bytes)).fields
        }
        #expect(try fields(honest).values("Content-Length") == ["3"])
        #expect(try !fields(honest).contains("Transfer-Encoding"))
        #expect(try honest.keepAlive && !fields(honest).contains("Connection"))

        #expect(try plan(.text("abc"), isHead: true).framing == .none)
        #expect(try plan(WorkerResponse(status: 204, body: .bytes(ByteBuffer(string: "x")))).framing == .none)
        #expect(try !fields(plan(WorkerResponse(status: 204))).contains("Content-Length"))
        #expect(try plan(.stream(contentType: "a") { _ in }).framing == .chunked)
        #expect(try plan(.stream(contentType: "a", length: 5) { _ in }).framing == .counted(5))
        #expect(try fields(plan(.text("abc"), .http10))["Connection"] == "keep-alive")
        let old = try plan(.stream(contentType: "a") { _ in }, .http10)
        #expect(try old.framing == .untilClose && !old.keepAlive && fields(old)["Connection"] == "close")
        let last = try plan(.text("abc"), isLast: true)
        #expect(try !last.keepAlive && fields(last)["Connection"] == "close")
        var closing = WorkerResponse.text("abc")
        closing.fields.append("Connection", "close")
        #expect(try !plan(closing).keepAlive)
        for wrong in [
            WorkerResponse(status: 101), WorkerResponse(status: 600), .stream(contentType: "a", length: -1) { _ in },
        ] {
            #expect(throws: WorkerError.self) { try plan(wrong) }
        }
    }

    @Test func theEmbeddedFilesAreThere() throws {
        let module = EmbeddedFile.browserModule
        #expect(String(buffer: module.bytes).contains("export const connect"))
        #expect(String(buffer: EmbeddedFile.demoPage.bytes).hasPrefix("<!doctype html>"))
        let again = WorkerRequest(path: "/", fields: HeaderFields([("If-None-Match", module.entityTag)]))
        #expect(module.respond(to: again).status == 304)
        #expect(module.respond(to: WorkerRequest(method: "POST", path: "/")).status == 405)
    }
}
