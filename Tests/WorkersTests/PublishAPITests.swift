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

    /// With the namespaces `kept`, of whose channels history and presence are kept, and `plain`, of which nothing is.
    private func api(_ change: (inout PublishAPI.Configuration) -> Void = { _ in }) -> PublishAPI {
        var configuration = PublishAPI.Configuration()
        configuration.keys = ["other", "key"]
        change(&configuration)
        return PublishAPI(
            layer: self.layer, configuration: configuration,
            rules: { channel in
                guard let boundary = channel.firstIndex(of: ":") else { return ChannelRules() }
                switch channel[..<boundary] {
                case "kept":
                    return ChannelRules(history: HistoryOptions(size: 3, timeToLive: .seconds(60)), hasPresence: true)
                case "plain": return ChannelRules()
                default: return nil
                }
            })
    }

    private func post(
        _ method: String, _ body: String, _ fields: [(String, String)] = [("X-API-Key", "key")], query: String = ""
    ) -> WorkerRequest {
        WorkerRequest(
            method: "POST", path: "/api/\(method)", query: query, fields: HeaderFields(fields),
            body: ByteBuffer(string: body))
    }

    /// The text of what is answered.
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
            #"{"channel": "news", "data": {"t": "\u00e9",  "a":[1, 2.50]} , "skip_history": true, "tags": {"b": "1", "a": ""}}"#
        let arrivals = try self.heard(in: ["news"]) {
            #expect(self.answer("publish", body) == #"{"result":{}}"#)
        }
        let data = try JSONText(validating: ByteBuffer(string: #"{"t": "\u00e9",  "a":[1, 2.50]}"#))
        let tags = LayerValue.map([
            .init(key: .string("b"), value: .string("1")), .init(key: .string("a"), value: .string("")),
        ])
        let message: LayerMessage = ["type": .string("carillon.publication"), "data": .json(data), "tags": tags]
        #expect(arrivals == [.init(group: "news", message: message)])
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
        #"{"channel":"a","tags":["a"]}"#, #"{"channel":"a","tags":{"a":1}}"#, #"{"channel":"a","version":-1}"#,
        #"{"channel":"a","version":18446744073709551616}"#, #"{"channel":"a","skip_history":1}"#,
        #"{"channel":"a","data":"# + "\u{1}}",
        #"{"channel":"a","data":"# + String(repeating: "[", count: 100_000),
    ])
    func whatIsNoJSONObjectIsAnswered400(_ body: String) {
        let response = self.api().respond(to: self.post("publish", body))
        #expect(response.status == 400)
        #expect(response.fields["Content-Type"]?.hasPrefix("text/plain") == true)
    }

    @Test(arguments: [
        ("publish", #"{"channel":"a","data":1,"b64data":null}"#), ("publish", #"{"channel":"a","b64data":null}"#),
        ("broadcast", #"{"channels":["a"],"data":1,"b64data":null}"#),
        ("batch", #"{"commands":[{"publish":{"channel":"a","data":1,"b64data":null}}]}"#),
    ]) func bytesThatAreNullAreRefused(_ method: String, _ body: String) throws {
        let arrivals = try self.heard(in: ["a"]) {
            let response = self.api().respond(to: self.post(method, body))
            #expect(response.status == 400 && response.text.contains("b64data: expected a text, and not null"))
        }
        #expect(arrivals.isEmpty)
    }

    @Test func ofAKeyThatStandsTwiceTheLastCounts() {
        #expect(
            self.answer("publish", #"{"channel":"a","b64data":null,"b64data":"AAH/"}"#) == #"{"result":{}}"#)
        #expect(
            self.api().respond(to: self.post("publish", #"{"channel":"a","b64data":"AAH/","b64data":null}"#)).status
                == 400)
    }

    @Test func aFieldOfAnotherTypeIsAnswered400ByEveryMethod() {
        for (method, body) in [
            ("broadcast", #"{"channels":"a"}"#), ("broadcast", #"{"channels":[1]}"#), ("subscribe", #"{"user":42}"#),
            ("subscribe", #"{"user":"42","recover_since":[]}"#), ("unsubscribe", #"{"channel":{}}"#),
            ("disconnect", #"{"user":"42","whitelist":{}}"#),
            ("disconnect", #"{"user":"42","disconnect":{"code":"1"}}"#),
            ("refresh", #"{"user":"42","expire_at":1.5}"#), ("history", #"{"channel":"a","limit":"all"}"#),
            ("history", #"{"channel":"a","limit":99999999999}"#),
            ("history", #"{"channel":"a","since":{"offset":-1}}"#),
            ("channels", #"{"pattern":1}"#), ("batch", #"{"commands":{}}"#), ("batch", #"{"commands":[1]}"#),
            ("batch", #"{"commands":[{"nonsense":{}}]}"#), ("batch", #"{"commands":[{"publish":{"channel":1}}]}"#),
            ("batch", #"{"commands":[{"batch":{"commands":[]}}]}"#),
            ("batch", #"{"commands":[{"publish":{"channel":"a","data":1},"rpc":{"method":{}}}]}"#),
        ] {
            #expect(self.api().respond(to: self.post(method, body)).status == 400, "\(method) \(body)")
        }
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

    // MARK: What is kept

    /// An epoch is random; in answers it is told apart from the rest.
    private func withoutEpoch(_ text: String) -> String {
        text.replacing(#/"epoch":"[^"]+"/#) { _ in #""epoch":"…""# }
    }

    @Test func whatIsPublishedWithHistoryHasAPositionAndCanBeReadAgain() {
        let results = (1...4).map {
            self.answer("publish", #"{"channel":"kept:a","data":{"n":\#($0)},"tags":{"l":"en"}}"#)
        }
        #expect(results.map(self.withoutEpoch) == (1...4).map { #"{"result":{"offset":\#($0),"epoch":"…"}}"# })
        func history(_ more: String) -> String {
            self.withoutEpoch(self.answer("history", #"{"channel":"kept:a"\#(more)}"#))
        }
        #expect(history("") == #"{"result":{"publications":[],"epoch":"…","offset":4}}"#)
        #expect(
            history(#","limit":1"#)
                == #"{"result":{"publications":[{"data":{"n":2},"offset":2,"tags":{"l":"en"}}],"epoch":"…","offset":4}}"#
        )
        #expect(history(#","limit":-1,"reverse":true"#).contains(#"[{"data":{"n":4},"offset":4,"#))
        #expect(
            history(#","limit":-1,"since":{"offset":3,"epoch":"other"}"#)
                == #"{"error":{"code":112,"message":"unrecoverable position"}}"#)
        #expect(
            history(#","limit":-1,"reverse":true,"since":{"offset":0,"epoch":""}"#)
                == #"{"error":{"code":107,"message":"bad request"}}"#)
        #expect(self.answer("history_remove", #"{"channel":"kept:a"}"#) == #"{"result":{}}"#)
        #expect(history(#","limit":-1"#) == #"{"result":{"publications":[],"epoch":"…","offset":4}}"#)
    }

    @Test func aPublicationCanPassWithoutBeingKept() throws {
        let arrivals = try self.heard(in: [try ClientChannel("kept:b").group.text]) {
            #expect(
                self.answer("publish", #"{"channel":"kept:b","data":1,"skip_history":true}"#) == #"{"result":{}}"#)
        }
        #expect(arrivals.count == 1 && arrivals.first?.message.position == nil)
    }

    @Test func anIdempotentPublicationIsSentOnce() throws {
        for (channel, result) in [("kept:c", #"{"offset":1,"epoch":"…"}"#), ("plain:c", "{}"), ("c", "{}")] {
            let arrivals = try self.heard(in: [try ClientChannel(channel).group.text]) {
                for _ in 0..<2 {
                    let said = self.answer("publish", #"{"channel":"\#(channel)","data":1,"idempotency_key":"k"}"#)
                    #expect(self.withoutEpoch(said) == #"{"result":\#(result)}"#)
                }
            }
            #expect(arrivals.count == 1)
        }
    }

    @Test func anOlderVersionIsNotSent() throws {
        let arrivals = try self.heard(in: [try ClientChannel("kept:d").group.text]) {
            for version in [2, 1, 2, 3] {
                _ = self.answer("publish", #"{"channel":"kept:d","data":1,"version":\#(version),"version_epoch":"e"}"#)
            }
        }
        #expect(arrivals.count == 2)
    }

    @Test func presenceIsWhoIsThere() async throws {
        let group = try ClientChannel("kept:e").group
        #expect(self.answer("presence", #"{"channel":"kept:e"}"#) == #"{"result":{"presence":{}}}"#)
        for (client, user) in [("c-1", "42"), ("c-2", "42"), ("c-3", "")] {
            let info = ByteBuffer(string: #"{"user":"\#(user)","client":"\#(client)"}"#)
            try await self.layer.addPresence(Presence(client: client, user: user, info: info), in: group)
        }
        let told = self.answer("presence", #"{"channel":"kept:e"}"#)
        #expect(told.contains(#""c-2":{"user":"42","client":"c-2"}"#) && told.hasPrefix(#"{"result":{"presence":{"c-"#))
        #expect(
            self.answer("presence_stats", #"{"channel":"kept:e"}"#)
                == #"{"result":{"num_clients":3,"num_users":2}}"#)
    }

    @Test func whatANamespaceDoesNotKeepIsNotAvailable() {
        for method in ["presence", "presence_stats", "history", "history_remove"] {
            for channel in ["plain:a", "a"] {
                #expect(
                    self.answer(method, #"{"channel":"\#(channel)"}"#)
                        == #"{"error":{"code":108,"message":"not available"}}"#)
            }
            #expect(self.answer(method, "{}") == #"{"error":{"code":107,"message":"bad request"}}"#)
        }
    }

    @Test func aNamespaceThatIsNotThereIsAnUnknownChannel() {
        for method in [
            "publish", "presence", "presence_stats", "history", "history_remove", "subscribe", "unsubscribe",
        ] {
            #expect(
                self.answer(method, #"{"channel":"nope:a","data":1,"user":"42"}"#)
                    == #"{"error":{"code":102,"message":"unknown channel"}}"#)
        }
    }

    // MARK: What gateways do

    @Test func commandsGoToAllGateways() throws {
        let arrivals = try self.heard(in: [ControlMessage.group.text]) {
            for (method, body) in [
                (
                    "subscribe",
                    #"{"user":"42","channel":"a","info":{"x":1},"b64data":"WzFd","recover_since":{"offset":3,"epoch":"e"},"override":{"presence":{"value":true}}}"#
                ),
                ("unsubscribe", #"{"user":"42","channel":"a","client":"c-1"}"#),
                ("unsubscribe", #"{"user":"42","session":"s"}"#),
                ("disconnect", #"{"user":"42"}"#),
                ("disconnect", #"{"user":"","whitelist":["c-1"],"disconnect":{"code":4000,"reason":"bye"}}"#),
                ("refresh", #"{"user":"42","expired":true,"expire_at":100,"info":{"y":2}}"#),
            ] {
                #expect(self.answer(method, body) == #"{"result":{}}"#, "\(method) \(body)")
            }
        }
        let user = ConnectionSelector(user: "42")
        var subscription = ServerSubscription(channel: "a")
        subscription.info = ByteBuffer(string: #"{"x":1}"#)
        subscription.data = ByteBuffer(string: "[1]")
        subscription.since = (3, "e")
        subscription.override = ByteBuffer(string: #"{"presence":{"value":true}}"#)
        var refresh = ConnectionRefresh()
        (refresh.isExpired, refresh.expires, refresh.info) = (true, 100, ByteBuffer(string: #"{"y":2}"#))
        let commands = arrivals.compactMap { arrival -> ControlCommand? in
            if case .command(let command)? = ControlMessage(arrival.message) { command } else { nil }
        }
        #expect(
            commands == [
                .subscribe(user, subscription),
                .unsubscribe(ConnectionSelector(user: "42", client: "c-1"), channel: "a"),
                .unsubscribe(ConnectionSelector(user: "42", session: "s"), channel: ""),
                .disconnect(user, sparing: [], code: 3_503, reason: "force disconnect"),
                .disconnect(ConnectionSelector(user: ""), sparing: ["c-1"], code: 4_000, reason: "bye"),
                .refresh(user, refresh),
            ])
    }

    private static let long = String(repeating: "x", count: 257)

    @Test(arguments: [
        ("subscribe", #"{"user":"42"}"#), ("subscribe", #"{"user":"42","channel":"a b"}"#),
        ("subscribe", #"{"user":"42","channel":"a","b64info":"?"}"#),
        ("subscribe", #"{"user":"42","channel":"a","override":[]}"#),
        ("unsubscribe", #"{"user":"42","channel":"a b"}"#),
        ("disconnect", #"{"user":"42","disconnect":{"code":1000}}"#),
        ("disconnect", #"{"user":"42","disconnect":{"code":70000}}"#),
        ("disconnect", #"{"user":"42","disconnect":{"code":4000,"reason":"\#(Self.long)"}}"#),
        ("refresh", #"{"user":"\#(Self.long)"}"#),
        ("connections", #"{"user":"\#(Self.long)"}"#),
        ("channels", #"{"pattern":"\#(Self.long)"}"#),
    ]) func whatNoGatewayCouldDoIsABadRequest(_ method: String, _ body: String) {
        #expect(self.answer(method, body) == #"{"error":{"code":107,"message":"bad request"}}"#)
    }

    @Test func conditionsOnConnectionsAreNotAvailable() {
        #expect(
            self.answer("connections", #"{"user":"42","expression":"true"}"#)
                == #"{"error":{"code":108,"message":"not available"}}"#)
    }

    @Test func questionsAreAnsweredByAllGateways() throws {
        let gateways = ["b", "a"].map { TalkingGateway($0, self.layer) }
        let feeds = gateways.map { self.layer.openFeed($0) }
        defer { for feed in feeds { feed.close() } }
        for feed in feeds { feed.follow(ControlMessage.group) { #expect($0 == nil) } }
        let api = self.api()
        func answer(_ method: String, _ body: String) -> String { api.respond(to: self.post(method, body)).text }
        let nodes = ["a", "b"].map {
            #"{"uid":"u\"\#($0)","name":"host_\#($0)","version":"1.0.0","num_clients":2,"num_users":1,"num_channels":3,"#
                + #""num_subs":4,"uptime":60}"#
        }
        #expect(answer("info", "{}") == #"{"result":{"nodes":[\#(nodes.joined(separator: ","))]}}"#)
        #expect(
            answer("channels", #"{"pattern":"x*"}"#)
                == #"{"result":{"channels":{"only-a":{"num_clients":1},"only-b":{"num_clients":1},"x*":{"num_clients":2}}}}"#
        )
        #expect(
            answer("connections", #"{"user":"42","expression":""}"#)
                == #"{"result":{"connections":{"c-a":{"user":"42"},"c-b":{"user":"42"}}}}"#)
    }

    @Test func withoutGatewaysThereAreNone() {
        #expect(self.answer("info", "{}") == #"{"result":{"nodes":[]}}"#)
    }

    // MARK: Several at once

    @Test(arguments: [false, true]) func aBatchAnswersInTheOrderOfItsCommands(_ isParallel: Bool) {
        let body =
            #"{"commands":[{"publish":{"channel":"kept:f","data":1}},{"presence_stats":{"channel":"kept:f"}},"#
            + #"{"publish":{"channel":"nope:f","data":1}},{"broadcast":{"channels":["a","kept:g"],"data":2}},{"rpc":{}},"#
            + #"{"history_remove":{"channel":"kept:f"}}],"parallel":\#(isParallel)}"#
        #expect(
            self.withoutEpoch(self.answer("batch", body))
                == #"{"replies":[{"publish":{"offset":1,"epoch":"…"}},{"presence_stats":{"num_clients":0,"num_users":0}},"#
                + #"{"error":{"code":102,"message":"unknown channel"}},"#
                + #"{"broadcast":{"responses":[{"result":{}},{"result":{"offset":1,"epoch":"…"}}]}},"#
                + #"{"error":{"code":104,"message":"method not found"}},{"history_remove":{}}]}"#)
        #expect(self.answer("batch", "{}") == #"{"replies":[]}"#)
    }

    @Test func methodsThatAreNotOfferedSaySo() {
        #expect(self.answer("rpc", "{}") == #"{"error":{"code":104,"message":"method not found"}}"#)
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
        let api = PublishAPI(layer: SilentLayer(answer: nil), configuration: configuration)
        let response = api.respond(to: self.post("publish", #"{"channel":"a","data":1}"#))
        #expect(response.status == 200 && response.text == #"{"error":{"code":100,"message":"internal server error"}}"#)
    }

    @Test func aLayerThatRefusesIsAnInternalErrorAndAMessageItCannotCarryABadRequest() {
        var configuration = PublishAPI.Configuration()
        configuration.insecure = true
        for (code, number) in [(LayerError.Code.unavailable, 100), (.invalidMessage, 107)] {
            let layer = SilentLayer(answer: LayerError(code, "no"))
            let api = PublishAPI(layer: layer, configuration: configuration)
            let response = api.respond(to: self.post("publish", #"{"channel":"a","data":1}"#))
            #expect(response.text.hasPrefix(#"{"error":{"code":\#(number),"#))
        }
    }

    @Test func noBodyTrapsTheProcess() {
        let corpus = [
            #"{"channel": "news", "data": {"t": "\u00e9"}, "skip_history": true, "tags": {"a": "1"}}"#,
            #"{"channels": ["a", "b"], "b64data": "AAECAw==", "idempotency_key": "k1"}"#,
            #"{"user": "42", "channel": "kept:a", "recover_since": {"offset": 3, "epoch": "e"}, "override": {"a": {}}}"#,
            #"{"user": "", "whitelist": ["c1"], "disconnect": {"code": 4000, "reason": "bye"}, "expire_at": 100}"#,
            #"{"channel": "kept:a", "limit": 5, "since": {"offset": 1, "epoch": "e"}, "reverse": true}"#,
            #"{"commands": [{"publish": {"channel": "a", "data": {"x": 1}}}, {"rpc": {}}], "parallel": true}"#,
        ]
        var random = SeededGenerator(seed: 7)
        let api = self.api()
        for _ in 0..<1_000 {
            var bytes = Array((corpus.randomElement(using: &random) ?? "").utf8)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
                default: bytes.removeLast(bytes.count - max(1, index))
                }
            }
            for method in APIMethod.allCases where ![.info, .channels, .connections].contains(method) {
                var request = self.post(method.rawValue, "")
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

/// Answers questions as a gateway does, with what tells it apart.
final class TalkingGateway: GroupFeedListener {
    private let name: String
    private let layer: MemoryLayer

    init(_ name: String, _ layer: MemoryLayer) {
        self.name = name
        self.layer = layer
    }

    func arrived(_ message: LayerMessage, in group: GroupName) {
        guard case .ask(let id, let channel, let question)? = ControlMessage(message) else { return }
        var state = NodeState(uid: "u\"\(self.name)", name: "host_\(self.name)", version: "1.0.0")
        (state.clients, state.users, state.channels, state.subscriptions, state.uptime) = (2, 1, 3, 4, 60)
        let answer: SurveyAnswer =
            switch question {
            case .node: .node(state)
            case .channels(let pattern): .channels([pattern: 1, "only-\(self.name)": 1])
            case .connections(let user):
                .clients(["c-\(self.name)": ByteBuffer(string: #"{"user":"\#(user ?? "")"}"#)])
            case .presence: .clients([:])
            }
        self.layer.submit(ControlMessage.answer(id: id, node: state.uid, answer).message, to: channel, completion: nil)
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
