import ChannelLayer
import HTTP1
import JSON
import NIOCore
import Testing

@testable import Workers

@Suite(.timeLimit(.minutes(1)))
struct DemoApplicationTests {
    @Test func aJobTellsTheSameInItsAnswerAndToTheGroup() async throws {
        let layer = MemoryLayer()
        let arrivals = Arrivals()
        let feed = layer.openFeed(arrivals)
        feed.follow(try GroupName("demo")) { _ in }
        var options = DemoApplication.Options()
        options.steps = 3
        let demo = try DemoApplication(layer: layer, options: options, pause: { _ in })
        try await withServer(demo) { server in
            let answer = try await server.post("/jobs", "")
            #expect(answer.status == 200 && answer["Transfer-Encoding"] == "chunked")
            let lines = answer.body.split(separator: "\n").map(String.init)
            #expect(lines.count == 5)
            #expect(lines[2].hasPrefix(#"{"type":"job.progress","job":""#) && lines[2].contains(#""step":2,"of":3"#))
            #expect(lines[4].contains(#""type":"job.done""#))
            let published = arrivals.all.map { arrival -> String in
                guard case .json(let text)? = arrival.message["data"] else { return "no JSON" }
                return String(buffer: text.bytes)
            }
            #expect(published == lines)
            #expect(arrivals.all.allSatisfy { $0.message.type == "carillon.publication" })
        }
        feed.close()
    }

    @Test func stepsAreHeardOneByOneAndTheJobEndsEvenIfItsStarterLeaves() async throws {
        let layer = MemoryLayer()
        let arrivals = Arrivals()
        let feed = layer.openFeed(arrivals)
        feed.follow(try GroupName("demo")) { _ in }
        let gate = Gate()
        var options = DemoApplication.Options()
        options.steps = 2
        let demo = try DemoApplication(layer: layer, options: options, pause: { _ in gate.pass() })
        try await withServer(demo) { server in
            let client = try await server.connect()
            try client.send("POST /jobs HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n")
            _ = try await client.read(until: "\r\n\r\n")
            #expect(try await client.chunk()?.contains(#""step":0"#) == true)
            #expect(arrivals.all.count == 1)
            client.close()
            gate.open(2)
            while arrivals.all.count < 4 { await Task.yield() }
        }
        feed.close()
    }

    @Test func oneJobTooManyWaits() async throws {
        let gate = Gate()
        var options = DemoApplication.Options()
        (options.steps, options.jobs) = (1, 1)
        let demo = try DemoApplication(layer: MemoryLayer(), options: options, pause: { _ in gate.pass() })
        try await withServer(demo) { server in
            let first = try await server.connect()
            try first.send("POST /jobs HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n")
            await gate.waitForVisitors(1)
            let second = try await server.post("/jobs", "")
            #expect(second.status == 503 && second["Retry-After"] == "2")
            gate.open()
            #expect(try await first.answer().status == 200)
            gate.open()
            while try await server.post("/jobs", "").status == 503 {}
        }
    }

    @Test func aForeignPageStartsNoJob() throws {
        let demo = try DemoApplication(layer: MemoryLayer(), pause: { _ in })
        func status(_ method: String, _ path: String, _ fields: [(String, String)] = []) throws -> Int {
            try demo.respond(to: WorkerRequest(method: method, path: path, fields: HeaderFields(fields))).status
        }
        #expect(try status("POST", "/jobs", [("Sec-Fetch-Site", "cross-site")]) == 403)
        #expect(try status("POST", "/jobs", [("Sec-Fetch-Site", "same-origin")]) == 200)
        #expect(try status("GET", "/jobs") == 405)
        #expect(try status("GET", "/") == 200)
        #expect(try status("GET", "/chat") == 200)
        #expect(try status("GET", "/channels/carillon.js") == 200)
        #expect(try status("GET", "/nothing") == 404)
    }
}
