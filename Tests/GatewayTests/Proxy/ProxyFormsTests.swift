import JSON
import NIOCore
import TestSupport
import Testing

@testable import Gateway

@Suite struct ProxyFormsTests {
    private func json(_ text: String) throws -> JSONText { try JSONText(validating: ByteBuffer(string: text)) }

    @Test func aQuestionSaysWhatIsKnownAndNothingElse() throws {
        var asker = ProxyAsker(client: "c-1")
        var details = ProxyDetails()
        details.name = "js"
        details.data = .json(try self.json(#"{"theme":"dark"}"#))
        #expect(
            String(buffer: ProxyQuestion(.connect, asker, details, fields: []).body)
                == #"{"client":"c-1","transport":"websocket","protocol":"json","encoding":"json","name":"js","data":{"theme":"dark"}}"#
        )
        asker.user = ""
        asker.meta = try self.json(#"{"tenant":5}"#)
        details = ProxyDetails(channel: "chat:7")
        #expect(
            String(buffer: ProxyQuestion(.subscribe, asker, details, fields: []).body)
                == #"{"client":"c-1","transport":"websocket","protocol":"json","encoding":"json","user":"","channel":"chat:7","meta":{"tenant":5}}"#
        )
        asker = ProxyAsker(transport: "sse", isProtobuf: true, isBinary: true, user: "42")
        details = ProxyDetails(method: "get", data: .bytes(ByteBuffer(bytes: [0, 255])))
        #expect(
            String(buffer: ProxyQuestion(.rpc, asker, details, fields: []).body)
                == #"{"transport":"sse","protocol":"protobuf","encoding":"binary","user":"42","method":"get","b64data":"AP8="}"#
        )
    }

    @Test func anAnswerIsAResultOrARefusalOrNothing() throws {
        func read(_ text: String) -> ProxyAnswer { ProxyAnswer(reading: ByteBuffer(string: text)) }
        #expect(read("{}") == .nothing)
        #expect(read(#"{"result":null}"#) == .nothing)
        #expect(
            read(#"{"error":{"code":1000,"message":"quota","temporary":true}}"#)
                == .error(ClientError(1_000, "quota", isTemporary: true)))
        #expect(
            read(#"{"disconnect":{"code":4500,"reason":"banned"}}"#) == .disconnect(ClientDisconnect(4_500, "banned")))
        var result = ProxyResult()
        result.user = "42"
        result.expires = 1_767_225_600
        result.info = .json(try self.json(#"{"name":"Ann"}"#))
        result.data = .bytes(ByteBuffer(bytes: [0, 255]))
        result.channels = ["news"]
        result.subscriptions = [.init(channel: "chat:7", options: try self.json(#"{"info":{"role":"mod"}}"#))]
        result.meta = try self.json(#"{"tenant":5}"#)
        #expect(
            read(
                #"{"result":{"user":"42","expire_at":1767225600,"info":{"name":"Ann"},"b64data":"AP8=","channels":["news"],"#
                    + #""subs":{"chat:7":{"info":{"role":"mod"}}},"meta":{"tenant":5},"later":[1]}}"#)
                == .result(result))
        result = ProxyResult()
        result.isExpired = true
        result.tags = [.init(name: "a", value: "b")]
        result.version = .max
        #expect(
            read(#"{"result":{"expired":true,"tags":{"a":"b"},"version":18446744073709551615}}"#) == .result(result))
    }

    @Test(arguments: [
        "", "nonsense", "[]", #"{"result":1}"#, #"{"result":{"user":42}}"#, #"{"error":"no"}"#,
        #"{"error":{"code":-1}}"#, #"{"disconnect":{"code":1006}}"#, #"{"disconnect":{"code":70000}}"#,
        #"{"disconnect":{"code":4000,"reason":"\#(String(repeating: "x", count: 124))"}}"#,
        #"{"result":{"b64data":"?"}}"#, #"{"result":{"subs":[]}}"#, "{\"result\":" + String(repeating: "[", count: 99),
    ]) func whatIsNoAnswerIsAFailure(_ text: String) {
        #expect(ProxyAnswer(reading: ByteBuffer(string: text)) == .failed(.unreadable))
    }

    @Test func severalQuestionsAreOneRequest() throws {
        let questions = [
            ProxyQuestion(
                event: .subscribe,
                fields: [.init(name: "Cookie", value: "a=\"1\""), .init(name: "Origin", value: "http://x")],
                body: ByteBuffer(string: #"{"channel":"a"}"#)),
            ProxyQuestion(event: .subscriptionRefresh, fields: [], body: ByteBuffer(string: "{}")),
        ]
        let body = ProxyBatch.body(of: questions)
        #expect(
            String(buffer: body)
                == #"{"questions":[{"event":"subscribe","headers":{"Cookie":"a=\"1\"","Origin":"http://x"},"request":{"channel":"a"}},"#
                + #"{"event":"sub_refresh","headers":{},"request":{}}]}"#)
        _ = try JSONText(validating: body)
        let answers = ProxyBatch.answers(
            in: ByteBuffer(string: #"{"answers":[{"result":{},"max_age":60},{"error":{"code":403,"message":"no"}}]}"#),
            to: 2)
        #expect(answers.map(\.answer) == [.result(ProxyResult()), .error(ClientError(403, "no"))])
        #expect(answers.map(\.maxAge) == [60, 0])
        for wrong in ["", "{}", #"{"answers":{}}"#, #"{"answers":[{}]}"#, #"{"answers":[{},{},{}]}"#] {
            let answers = ProxyBatch.answers(in: ByteBuffer(string: wrong), to: 2)
            #expect(answers.map(\.answer) == [.failed(.unreadable), .failed(.unreadable)])
        }
    }

    @Test(arguments: [
        (["max-age=60"], 60), (["private, max-age = 5"], 5), (["MAX-AGE=\"7\""], 7), (["max-age=60, no-store"], 0),
        (["no-cache"], 0), ([], 0), ([""], 0), (["max-age=-1"], 0), (["max-age=x"], 0), (["max-age"], 0),
        (["max-age=99999999999999999999"], 0), (["max-age=86400"], 3_600), (["private", "max-age=3"], 3),
    ]) func cacheControlSaysHowLongAnAnswerCounts(_ values: [String], _ seconds: Int) {
        #expect(ProxyFreshness.seconds(values) == seconds)
    }

    @Test func noAnswerTraps() {
        var random = SeededGenerator(seed: 5)
        let corpus = [
            #"{"result":{"user":"42","expire_at":1767225600,"info":{"name":"Ann"},"subs":{"a":{}},"channels":["a"]}}"#,
            #"{"error":{"code":1000,"message":"quota","temporary":true}}"#,
            #"{"answers":[{"result":{}},{"max_age":1}]}"#,
        ]
        for _ in 0..<3_000 {
            var bytes = Array((corpus.randomElement(using: &random) ?? "").utf8)
            for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
                default: bytes.removeLast(bytes.count - max(1, index))
                }
            }
            _ = ProxyAnswer(reading: ByteBuffer(bytes: bytes))
            _ = ProxyBatch.answers(in: ByteBuffer(bytes: bytes), to: 2)
        }
    }
}
