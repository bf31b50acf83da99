import ChannelLayer
import HTTP1
import JSON
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import Workers

/// Answers byte for byte as the Centrifugo server API has them.
@Suite(.timeLimit(.minutes(1)))
struct PublishAPITests {
    private let layer = MemoryLayer()

    private func api(_ change: (inout PublishAPI.Configuration) -> Void = { _ in }) -> PublishAPI {
        var configuration = PublishAPI.Configuration()
        configuration.keys = ["other", "key"]
        change(&configuration)
        return PublishAPI(layer: self.layer, configuration: configuration) {
            [
                NodeInfo(
                    uid: "u\"1", name: "host_8001", version: "1.0.0", clients: 2, users: 1, channels: 3,
                    subscriptions: 4, uptime: 60)
            ]
        }
    }

    private func post(
        _ method: String, _ body: String, _ fields: [(String, String)] = [("X-API-Key", "key")], query: String = ""
    ) -> WorkerRequest {
        WorkerRequest(
            method: "POST", path: "/api/\(method)", query: query, fields: HeaderFields(fields),
            body: ByteBuffer(string: body))
    }

    private func answer(_ method: String, _ body: String) -> String {
        self.api().respond(to: self.post(method, body)).text
    }

    /// What a follower of `groups` hears while `body` runs.
    private func heard(in groups: [String], _ body: () throws -> Void) throws -> [Arrivals.Arrival] {
        let arrivals = Arrivals()
        let feed = self.layer.openFeed(arrivals)
        for group in groups { feed.follow(try GroupName(group)) { #expect($0 == nil) } }
        try body()
        feed.close()
        return arrivals.all
    }

    @Test func whatIsPublishedReachesTheGroupAsItWasWritten() throws {
        // White space, escapes and the order of keys stay: nothing is taken apart and put together again.
        let body =
            #"{"channel": "news", "data": {"t": "\u00e9",  "a":[1, 2.50]} , "skip_history": true, "tags": {"a": "1"}}"#
        let arrivals = try self.heard(in: ["news"]) {
            #expect(self.answer("publish", body) == #"{"result":{}}"#)
        }
        let data = try JSONText(validating: ByteBuffer(string: #"{"t": "\u00e9",  "a":[1, 2.50]}"#))
        #expect(
            arrivals == [.init(group: "news", message: ["type": .string("carillon.publication"), "data": .json(data)])])
    }

    @Test func bytesArePublishedAsBytes() throws {
        let arrivals = try self.heard(in: ["b"]) {
            #expect(self.answer("publish", #"{"channel":"b","b64data":"AAH/"}"#) == #"{"result":{}}"#)
        }
        #expect(arrivals.first?.message["data"] == .bytes(ByteBuffer(bytes: [0, 1, 255])))
    }

    @Test(arguments: [
        #"{"data":{}}"#, #"{"channel":"","data":{}}"#, #"{"channel":null,"data":{}}"#, #"{"channel":"a b","data":{}}"#,
        #"{"channel":"caf\u00e9","data":{}}"#, #"{"channel":"a"}"#, #"{"channel":"a","data":null}"#,
        #"{"channel":"a","b64data":"?"}"#, #"{"channel":"a","b64data":""}"#, "{}",
    ])
    func whatCannotBePublishedIsABadRequest(_ body: String) {
        #expect(self.answer("publish", body) == #"{"error":{"code":107,"message":"bad request"}}"#)
    }

    @Test(arguments: [
        "", "not json", "[]", "1", #"{"channel":"a","data":}"#, #"{"channel":"a","data":{}} x"#,
        #"{"channel":5,"data":{}}"#,
        #"{"channels":"a"}"#, #"{"channels":[1]}"#, #"{"channel":"a","data":"# + "\u{1}}",
        #"{"channel":"a","data":"# + String(repeating: "[", count: 100_000),
    ])
    func whatIsNoJSONObjectIsAnswered400(_ body: String) {
        let response = self.api().respond(to: self.post("publish", body))
        #expect(response.status == 400)
        #expect(response.fields["Content-Type"]?.hasPrefix("text/plain") == true)
    }

    @Test func aBroadcastAnswersForEachChannelInOrder() throws {
        let arrivals = try self.heard(in: ["a", "b"]) {
            #expect(
                self.answer("broadcast", #"{"channels":["a","","b","no name"],"data":1}"#)
                    == #"{"result":{"responses":[{"result":{}},{"error":{"code":107,"message":"bad request"}},{"result":{}},"#
                    + #"{"error":{"code":107,"message":"bad request"}}]}}"#)
        }
        #expect(arrivals.map(\.group) == ["a", "b"])
        #expect(
            self.answer("broadcast", #"{"channels":[],"data":1}"#) == #"{"error":{"code":107,"message":"bad request"}}"#
        )
        #expect(self.answer("broadcast", #"{"channels":["a"]}"#) == #"{"error":{"code":107,"message":"bad request"}}"#)
    }

    @Test func infoTellsTheNodes() {
        #expect(
            self.answer("info", "{}")
                == #"{"result":{"nodes":[{"uid":"u\"1","name":"host_8001","version":"1.0.0","num_clients":2,"num_users":1,"#
                + #""num_channels":3,"num_subs":4,"uptime":60}]}}"#)
    }

    @Test func methodsThatAreNotOfferedSaySo() {
        for method in ["presence", "presence_stats", "history", "batch", "rpc", "disconnect"] {
            #expect(self.answer(method, "{}") == #"{"error":{"code":104,"message":"method not found"}}"#)
        }
        #expect(self.api().respond(to: self.post("nonsense", "{}")).status == 404)
        #expect(self.api().respond(to: self.post("", "{}")).status == 404)
    }

    @Test func inTransportModeTheStatusTells() {
        let fields = [("X-API-Key", "key"), ("X-Centrifugo-Error-Mode", "transport")]
        let response = self.api().respond(to: self.post("publish", "{}", fields))
        #expect(response.status == 400 && response.text == #"{"code":107,"message":"bad request"}"#)
        let other = self.api { $0.transportErrors = true }.respond(to: self.post("rpc", "{}"))
        #expect(other.status == 404 && other.text == #"{"code":104,"message":"method not found"}"#)
    }

    @Test func onlyWhoHasAKeyIsLetIn() {
        let body = #"{"channel":"a","data":{}}"#
        func status(_ fields: [(String, String)], query: String = "") -> Int {
            self.api().respond(to: self.post("publish", body, fields, query: query)).status
        }
        #expect(status([("x-api-key", "key")]) == 200)
        #expect(status([("X-API-Key", "other")]) == 200)
        #expect(status([("Authorization", "apikey key")]) == 200)
        #expect(status([("Authorization", "ApiKey key")]) == 200)
        #expect(status([], query: "api_key=key") == 200)
        for wrong in ["", "ke", "kez", "keys", "keykey", "KEY"] { #expect(status([("X-API-Key", wrong)]) == 401) }
        #expect(status([("Authorization", "Bearer key")]) == 401)
        #expect(status([("Authorization", "apikey")]) == 401)
        #expect(status([]) == 401)
        let denied = self.api().respond(to: self.post("publish", body, []))
        #expect(denied.text == "")
    }

    @Test func withoutKeysNobodyIsLetInUnlessItSaysInsecure() {
        let request = self.post("info", "{}", [("X-API-Key", "")])
        #expect(self.api { $0.keys = [""] }.respond(to: request).status == 401)
        #expect(self.api { ($0.keys, $0.insecure) = ([], true) }.respond(to: request).status == 200)
    }

    @Test func onlyPostIsTaken() {
        var request = self.post("info", "{}")
        request.method = "GET"
        #expect(self.api().respond(to: request).status == 405)
    }

    @Test func aLayerThatDoesNotAnswerIsAnInternalError() {
        var configuration = PublishAPI.Configuration()
        configuration.insecure = true
        configuration.layerTimeout = .milliseconds(20)
        let api = PublishAPI(layer: SilentLayer(answer: nil), configuration: configuration) { [] }
        let response = api.respond(to: self.post("publish", #"{"channel":"a","data":1}"#))
        #expect(response.status == 200 && response.text == #"{"error":{"code":100,"message":"internal server error"}}"#)
    }

    @Test func aLayerThatRefusesIsAnInternalErrorAndAMessageItCannotCarryABadRequest() {
        var configuration = PublishAPI.Configuration()
        configuration.insecure = true
        for (code, number) in [(LayerError.Code.unavailable, 100), (.invalidMessage, 107)] {
            let layer = SilentLayer(answer: LayerError(code, "no"))
            let api = PublishAPI(layer: layer, configuration: configuration) { [] }
            let response = api.respond(to: self.post("publish", #"{"channel":"a","data":1}"#))
            #expect(response.text.hasPrefix(#"{"error":{"code":\#(number),"#))
        }
    }

    @Test func noBodyTrapsTheProcess() {
        let corpus = [
            #"{"channel": "news", "data": {"t": "\u00e9"}, "skip_history": true, "tags": {"a": "1"}}"#,
            #"{"channels": ["a", "b"], "b64data": "AAECAw==", "idempotency_key": "k1"}"#,
        ]
        var random = SeededGenerator(seed: 7)
        let api = self.api()
        for _ in 0..<2_000 {
            var bytes = Array((corpus.randomElement(using: &random) ?? "").utf8)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
                default: bytes.removeLast(bytes.count - max(1, index))
                }
            }
            for method in ["publish", "broadcast"] {
                var request = self.post(method, "")
                request.body = ByteBuffer(bytes: bytes)
                let response = api.respond(to: request)
                #expect(response.status == 200 || response.status == 400)
            }
        }
    }
}

extension WorkerResponse {
    /// The body as text; empty for a stream.
    var text: String {
        if case .bytes(let bytes) = self.body { String(buffer: bytes) } else { "" }
    }
}

/// Keeps what arrives.
final class Arrivals: GroupFeedListener {
    struct Arrival: Equatable {
        var group: String
        var message: LayerMessage
    }

    private let arrivals = Mutex<[Arrival]>([])
    var all: [Arrival] { self.arrivals.withLock { $0 } }

    func arrived(_ message: LayerMessage, in group: GroupName) {
        self.arrivals.withLock { $0.append(Arrival(group: group.text, message: message)) }
    }
    func feedInterrupted(_ reason: LayerError) {}
    func feedRestored() {}
}

/// A layer that answers every send alike, or never.
struct SilentLayer: ChannelLayer {
    let answer: LayerError?

    func submit(
        _ message: LayerMessage, toGroup group: GroupName, completion: (@Sendable (LayerError?) -> Void)?
    ) {
        if let answer { completion?(answer) }
    }
    func submit(_ message: LayerMessage, to channel: ChannelName, completion: (@Sendable (LayerError?) -> Void)?) {}
    func send(_ message: LayerMessage, to channel: ChannelName) async throws(LayerError) {}
    func send(_ message: LayerMessage, toGroup group: GroupName) async throws(LayerError) {}
    func receive(from channel: ChannelName) async throws(LayerError) -> LayerMessage { throw LayerError(.closed, "") }
    func newChannel(prefix: String) async throws(LayerError) -> ChannelName { throw LayerError(.closed, "") }
    func groupAdd(_ group: GroupName, _ channel: ChannelName) async throws(LayerError) {}
    func groupDiscard(_ group: GroupName, _ channel: ChannelName) async throws(LayerError) {}
    func flush() async throws(LayerError) {}
    func close() async {}
    func openFeed(_ listener: any GroupFeedListener) -> any GroupFeed { MemoryLayer().openFeed(listener) }
}
