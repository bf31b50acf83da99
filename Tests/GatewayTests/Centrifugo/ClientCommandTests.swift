import ChannelLayer
import JSON
import NIOCore
import TestSupport
import Testing

@testable import Gateway

@Suite struct ClientCommandTests {
    private static func json(_ text: String) -> ClientData { .json(JSONText(unchecked: ByteBuffer(string: text))) }

    static let good: [(String, ClientCommand)] = [
        ("{}", ClientCommand(id: 0, nil)),
        (#" {"unknown": [1, {"a": null}]} "#, ClientCommand(id: 0, nil)),
        (#"{"id":1,"connect":{}}"#, ClientCommand(id: 1, .connect(.init()))),
        (
            #"{"id":1,"connect":{"token":"a.b.c","name":"js","version":"1","data":{"theme":"dark"},"flag":0,"subs":{},"#
                + #""headers":{"X-A":"b"}}}"#,
            ClientCommand(
                id: 1,
                .connect(
                    .init(
                        token: "a.b.c", data: Self.json(#"{"theme":"dark"}"#), name: "js", version: "1",
                        headers: ["X-A": "b"])))
        ),
        (
            #"{"id":1,"connect":{"subs":{"a":{"recover":true,"offset":9007199254740993,"epoch":"e"},"b":{},"c":null}}}"#,
            ClientCommand(
                id: 1,
                .connect(
                    .init(subscriptions: [
                        "a": .init(recovers: true, position: StreamPosition(offset: 9_007_199_254_740_993, epoch: "e")),
                        "b": .init(),
                    ])))
        ),
        (
            #"{"id":2,"subscribe":{"channel":"chat:7","recover":true,"epoch":"hXkq","offset":3,"flag":3}}"#,
            ClientCommand(
                id: 2,
                .subscribe(
                    .init(
                        channel: "chat:7",
                        since: .init(recovers: true, position: StreamPosition(offset: 3, epoch: "hXkq")), flag: 3)))
        ),
        (
            #"{"subscribe":{"channel":"a","token":"t","type":1,"delta":"fossil","data":1,"positioned":true,"#
                + #""recoverable":true,"join_leave":true,"tf":{"op":"and","nodes":[{"key":"x","cmp":"in","vals":["a"]},"#
                + #"{"key":"y","cmp":"eq","val":"1","more":2}]}},"id":4294967295}"#,
            ClientCommand(
                id: .max,
                .subscribe(
                    .init(
                        channel: "a", token: "t", data: Self.json("1"), wantsPositioning: true, wantsRecovery: true,
                        wantsJoinLeave: true, delta: "fossil",
                        filter: ClientFilter(
                            op: "and",
                            nodes: [
                                ClientFilter(key: "x", comparison: "in", values: ["a"]),
                                ClientFilter(key: "y", comparison: "eq", value: "1"),
                            ]), kind: 1)))
        ),
        (#"{"id":3,"unsubscribe":{"channel":"chat:7"}}"#, ClientCommand(id: 3, .unsubscribe(channel: "chat:7"))),
        (
            #"{"id":4,"publish":{"channel":"c","data":{"text": "h\u00e9"}}}"#,
            ClientCommand(id: 4, .publish(channel: "c", data: Self.json(#"{"text": "h\u00e9"}"#)))
        ),
        (#"{"id":4,"publish":{"channel":"c","data":null}}"#, ClientCommand(id: 4, .publish(channel: "c", data: nil))),
        (#"{"id":5,"presence":{"channel":"c"}}"#, ClientCommand(id: 5, .presence(channel: "c"))),
        (#"{"id":6,"presence_stats":{"channel":"c"}}"#, ClientCommand(id: 6, .presenceStats(channel: "c"))),
        (
            #"{"id":8,"history":{"channel":"c","limit":-1}}"#,
            ClientCommand(id: 8, .history(.init(channel: "c", limit: -1)))
        ),
        (
            #"{"id":8,"history":{"channel":"c","limit":2,"since":{"offset":1,"epoch":"e"},"reverse":true}}"#,
            ClientCommand(
                id: 8,
                .history(
                    .init(channel: "c", limit: 2, since: StreamPosition(offset: 1, epoch: "e"), isReverse: true)))
        ),
        (#"{"id":9,"rpc":{"method":"m","data":1}}"#, ClientCommand(id: 9, .rpc(method: "m", data: Self.json("1")))),
        (#"{"send":{"data":{}}}"#, ClientCommand(id: 0, .send(data: Self.json("{}")))),
        (#"{"id":1,"refresh":{"token":"t"}}"#, ClientCommand(id: 1, .refresh(token: "t"))),
        (
            #"{"id":1,"sub_refresh":{"channel":"c","token":"t"}}"#,
            ClientCommand(id: 1, .refreshSubscription(channel: "c", token: "t"))
        ),
        (#"{"id":1,"ping":{}}"#, ClientCommand(id: 1, .ping)),
        // Of several the first in the protocol's order counts, and null is nothing.
        (#"{"id":1,"send":{},"publish":{},"connect":{}}"#, ClientCommand(id: 1, .connect(.init()))),
        (#"{"id":1,"connect":null,"send":{}}"#, ClientCommand(id: 1, .send(data: nil))),
    ]

    @Test(arguments: Self.good) func aCommandIsRead(text: String, command: ClientCommand) throws {
        #expect(try ClientCommand(decoding: ByteBuffer(string: text)) == command)
    }

    @Test(arguments: [
        "", " ", "[]", "1", "null", "\"\"", "{", "{}{}", #"{"id":1,}"#, #"{"id":-1}"#, #"{"id":4294967296}"#,
        #"{"id":1.0}"#, #"{"id":1e1}"#, #"{"id":"1"}"#, #"{"id":true}"#, #"{"id":99999999999999999999999}"#,
        #"{"id":1,"connect":[]}"#, #"{"id":1,"connect":"x"}"#, #"{"id":1,"connect":{"token":1}}"#,
        #"{"id":1,"subscribe":{"channel":{}}}"#, #"{"id":1,"subscribe":{"channel":"a","recover":1}}"#,
        #"{"id":1,"subscribe":{"channel":"a","flag":"1"}}"#, #"{"id":1,"subscribe":{"channel":"a","type":1e99}}"#,
        #"{"id":1,"connect":{"subs":{"a":1}}}"#, #"{"id":1,"connect":{"headers":{"a":1}}}"#,
        #"{"id":1,"subscribe":{"channel":"a","tf":[]}}"#, #"{"id":1,"subscribe":{"channel":"a","tf":{"vals":[1]}}}"#,
        #"{"id":1,"history":{"limit":4294967296}}"#, #"{"id":1,"history":{"since":{"offset":-1}}}"#,
        #"{"id":1,"publish":{"channel":1}}"#, #"{"id":1,"rpc":{"method":2}}"#, #"{"send":1}"#,
        #"{"id":1,"publish":{"channel":"c","data":"# + String(repeating: "[", count: 100)
            + String(repeating: "]", count: 100) + "}}",
    ]) func whatIsNoneIsRefused(text: String) {
        #expect(throws: JSONError.self) { _ = try ClientCommand(decoding: ByteBuffer(string: text)) }
    }

    @Test func brokenCommandsAreReadOrRefused() {
        var mutator = Mutator(
            corpus: Self.good.map { Array($0.0.utf8) }, interesting: Array("{}[]\",:\\0123456789-ntf".utf8), seed: 6)
        var taken = 0
        for _ in 0..<10_000 where (try? ClientCommand(decoding: ByteBuffer(bytes: mutator.next()))) != nil {
            taken += 1
        }
        #expect(taken > 100, "the mutator breaks nearly everything; it tests nothing then")
    }
}
