public import ChannelLayer
import JSON
import NIOCore
import TestSupport
import Testing

@testable import Gateway

private func text(_ text: String) -> RuleOutcome { .text(ByteBuffer(string: text)) }
private func json(_ text: String) throws -> LayerValue { .json(try JSONText(validating: ByteBuffer(string: text))) }

@Suite struct BuiltInRuleTests {
    let rules = RuleSet.builtIn

    @Test func aPublicationHandsItsJSONOnWithoutACopy() throws {
        let bytes = ByteBuffer(string: #"{"a":1}"#)
        let data = LayerValue.json(try JSONText(validating: bytes))
        guard case .text(let frame) = self.rules.outcome(for: ["type": "carillon.publication", "data": data]) else {
            Issue.record("no text")
            return
        }
        let addresses = [bytes, frame].map { $0.withUnsafeReadableBytes { $0.baseAddress } }
        #expect(addresses[0] == addresses[1])
    }

    @Test func aPublicationThatABrokerCarriedSaysTheSame() throws {
        func outcome(_ data: LayerValue) -> RuleOutcome {
            self.rules.outcome(for: ["type": "carillon.publication", "data": data])
        }
        let map = LayerValue.map([
            .init(key: "a", value: 1), .init(key: "b", value: .array([.null, true, .double(0.5)])),
        ])
        #expect(outcome(map) == text(#"{"a":1,"b":[null,true,0.5]}"#))
        #expect(outcome("x") == text(#""x""#))
        #expect(outcome(try json(#""x""#)) == text(#""x""#))
        #expect(outcome(.null) == text("null"))
        #expect(outcome(.bytes(ByteBuffer(bytes: [0, 255]))) == .binary(ByteBuffer(bytes: [0, 255])))
        #expect(self.rules.outcome(for: ["type": "carillon.publication"]) == .drop(.missingKey))
        #expect(self.rules.outcome(for: ["type": "carillon_publication", "data": 1]) == text("1"))
    }

    @Test func websocketSendSaysWhatToSend() {
        func send(_ message: LayerMessage) -> RuleOutcome {
            var message = message
            message.entries.append(.init(key: "type", value: "websocket.send"))
            return self.rules.outcome(for: message)
        }
        let bytes = LayerValue.bytes(ByteBuffer(bytes: [1]))
        #expect(send(["text": "hello"]) == text("hello"))
        #expect(send(["text": ""]) == text(""))
        #expect(send(["text": .null, "bytes": bytes]) == .binary(ByteBuffer(bytes: [1])))
        #expect(send(["text": "a", "bytes": .null]) == text("a"))
        #expect(send(["text": "a", "bytes": bytes]) == .drop(.wrongType))
        #expect(send(["text": 1]) == .drop(.wrongType))
        #expect(send(["bytes": "a"]) == .drop(.wrongType))
        #expect(send([:]) == .drop(.missingKey))
    }

    @Test func websocketCloseClosesWithCodesThatMayBeSent() {
        func close(_ code: LayerValue, _ reason: LayerValue = .null) -> RuleOutcome {
            self.rules.outcome(for: ["type": "websocket.close", "code": code, "reason": reason])
        }
        #expect(self.rules.outcome(for: ["type": "websocket.close"]) == .close(code: 1000, reason: ""))
        #expect(close(.null) == .close(code: 1000, reason: ""))
        #expect(close(4001, "kicked") == .close(code: 4001, reason: "kicked"))
        #expect(close(1011) == .close(code: 1011, reason: ""))
        for code: Int64 in [0, -1, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65536 + 1000, .max] {
            #expect(close(.int(code)) == .drop(.badCloseCode), "\(code)")
        }
        #expect(close("4001") == .drop(.wrongType))
        #expect(close(4001, 7) == .drop(.wrongType))
    }

    @Test func aLongCloseReasonIsCutBetweenCharacters() {
        let outcome = self.rules.outcome(
            for: ["type": "websocket.close", "reason": .string(String(repeating: "é", count: 100))])
        #expect(outcome == .close(code: 1000, reason: String(repeating: "é", count: 61)))
    }

    @Test(arguments: ["websocket.connect", "websocket.receive", "websocket.disconnect", "websocket_receive"])
    func nobodyPretendsToBeABrowser(_ type: String) throws {
        let rules = RuleSet(rules: [Rule(try TypePattern("*"), .json(.whole(withType: true)))], otherwise: .json)
        #expect(rules.outcome(for: ["type": .string(type), "text": "x"]) == .drop(.protocolEvent))
        #expect(throws: RouteError.self) { try TypePattern(type) }
    }
}

@Suite struct RuleSetTests {
    func outcome(_ action: Rule.Action, _ message: LayerMessage) throws -> RuleOutcome {
        RuleSet(rules: [Rule(try TypePattern("x.y"), action)], otherwise: .drop).outcome(for: message)
    }

    @Test func textIsTheValueAsItIs() throws {
        func outcome(_ value: LayerValue) throws -> RuleOutcome {
            try self.outcome(.text(key: "data"), ["type": "x.y", "data": value])
        }
        #expect(try outcome(#"{"event": "é"}"#) == text(#"{"event": "é"}"#))
        #expect(try outcome("") == text(""))
        #expect(try outcome(7) == text("7"))
        #expect(try outcome(.null) == text("null"))
        #expect(try outcome(.array([1, "a"])) == text(#"[1,"a"]"#))
        #expect(try outcome(try json(#"{"a": 1}"#)) == text(#"{"a": 1}"#))
        #expect(try outcome(try json(#""a\n\u00e9\ud83d\ude00\"\/""#)) == text("a\né😀\"/"))
        #expect(try outcome(.bytes(ByteBuffer(bytes: [1]))) == .drop(.wrongType))
        #expect(try self.outcome(.text(key: "data"), ["type": "x.y"]) == .drop(.missingKey))
    }

    @Test func bytesAreBytesOnly() throws {
        let bytes = ByteBuffer(bytes: [1, 2])
        #expect(try self.outcome(.bytes(key: "b"), ["type": "x.y", "b": .bytes(bytes)]) == .binary(bytes))
        #expect(try self.outcome(.bytes(key: "b"), ["type": "x.y", "b": "text"]) == .drop(.wrongType))
        #expect(try self.outcome(.bytes(key: "b"), ["type": "x.y"]) == .drop(.missingKey))
    }

    @Test func jsonIsTheWholeMapOrSomeKeys() throws {
        let message: LayerMessage = ["type": "x.y", "a": 1, "b": .bytes(ByteBuffer(bytes: [1, 2, 3, 4]))]
        #expect(
            try self.outcome(.json(.whole(withType: true)), message) == text(#"{"type":"x.y","a":1,"b":"AQIDBA=="}"#))
        #expect(try self.outcome(.json(.whole(withType: false)), message) == text(#"{"a":1,"b":"AQIDBA=="}"#))
        #expect(
            try self.outcome(.json(.keys(["b", "a"], withType: false)), message) == text(#"{"b":"AQIDBA==","a":1}"#))
        #expect(try self.outcome(.json(.keys(["a"], withType: true)), message) == text(#"{"type":"x.y","a":1}"#))
        #expect(try self.outcome(.json(.keys(["a", "c"], withType: false)), message) == .drop(.missingKey))
    }

    @Test func jsonSaysWhatItCannotSayInAFixedWay() throws {
        let odd = LayerMessage(entries: [
            .init(key: "type", value: "x.y"), .init(key: "n", value: .double(.nan)),
            .init(key: "e", value: .ext(type: 1, ByteBuffer())),
            .init(key: "u", value: .uint(.max)),
            .init(key: "m", value: .map([.init(key: 1, value: 2), .init(key: .null, value: "\u{1}\"\\\n")])),
        ])
        #expect(
            try self.outcome(.json(.whole(withType: false)), odd)
                == text(#"{"n":null,"e":null,"u":18446744073709551615,"m":{"1":2,"null":"\u0001\"\\\n"}}"#))
    }

    @Test func aMessageMayBeAsDeepForABrowserAsForALayer() throws {
        // The message itself is the outermost level.
        var value = LayerValue.null
        for _ in 1..<LayerValue.maximumDepth { value = .array([value]) }
        let nested = String(repeating: "[", count: 127) + "null" + String(repeating: "]", count: 127)
        let whole = Rule.Action.json(.whole(withType: true))
        let message: LayerMessage = ["type": "x.y", "d": value]
        #expect(try self.outcome(whole, message) == text(#"{"type":"x.y","d":\#(nested)}"#))
        var buffer = ByteBuffer()
        try message.encodeMessagePack(into: &buffer)
        let deeper: LayerMessage = ["type": "x.y", "d": .array([value])]
        #expect(try self.outcome(whole, deeper) == .drop(.notEncodable))
        #expect(throws: LayerError.self) { try deeper.encodeMessagePack(into: &buffer) }
    }

    @Test func whatIsTooDeepIsDropped() throws {
        var deep = LayerValue.null
        for _ in 0..<5_000 { deep = .array([deep]) }
        #expect(try self.outcome(.json(.whole(withType: true)), ["type": "x.y", "d": deep]) == .drop(.notEncodable))
        #expect(RuleSet.builtIn.outcome(for: ["type": "carillon.publication", "data": deep]) == .drop(.notEncodable))
    }

    @Test func closeTakesItsCodeFromAKeyOrTheSettings() throws {
        let constant = Rule.Action.close(.init(code: .constant(4001), reason: .constant("bye")))
        #expect(try self.outcome(constant, ["type": "x.y"]) == .close(code: 4001, reason: "bye"))
        let key = Rule.Action.close(.init(code: .key("why"), reason: .key("text")))
        #expect(try self.outcome(key, ["type": "x.y", "why": 4002, "text": "b"]) == .close(code: 4002, reason: "b"))
        #expect(try self.outcome(key, ["type": "x.y", "why": 1005, "text": "b"]) == .drop(.badCloseCode))
        #expect(try self.outcome(key, ["type": "x.y"]) == .drop(.missingKey))
    }

    @Test func aDotAndAnUnderscoreAreTheSame() throws {
        #expect(try self.outcome(.text(key: "d"), ["type": "x_y", "d": "1"]) == text("1"))
        #expect(try self.outcome(.text(key: "d"), ["type": "x-y", "d": "1"]) == .drop(.noRule))
        #expect(try TypePattern("a.b") == TypePattern("a_b"))
        #expect(try TypePattern("a.b*") != TypePattern("a_b"))
    }

    @Test func theClosestRuleWinsWhateverTheOrder() throws {
        let rules = try [("*", "any"), ("job.*", "job"), ("job.done", "done"), ("job.d*", "d")].map {
            Rule(try TypePattern($0), .close(.init(code: .constant(4000), reason: .constant($1))))
        }
        for order in [rules, rules.reversed()] {
            let set = RuleSet(rules: order, otherwise: .drop)
            let reasons = ["job.done", "job_done", "job.dozes", "job.x", "job_", "else", ""].map { type -> String in
                guard case .close(_, let reason) = set.outcome(for: ["type": .string(type)]) else { return "none" }
                return reason
            }
            #expect(reasons == ["done", "done", "d", "job", "job", "any", "any"])
            #expect(
                set.outcome(for: ["type": "carillon.publication", "data": 1]) == text("1"), "* leaves what is built in")
        }
    }

    @Test func aRuleForABuiltInTypeReplacesIt() throws {
        let set = RuleSet(rules: [Rule(try TypePattern("carillon.publication"), .drop)], otherwise: .drop)
        #expect(set.outcome(for: ["type": "carillon.publication", "data": 1]) == .drop(.rule))
    }

    @Test func whatNoRuleIsForIsDroppedOrSentWhole() {
        let strict = RuleSet.builtIn
        let open = RuleSet(rules: [], otherwise: .json)
        #expect(strict.outcome(for: ["type": "a.b", "x": 1]) == .drop(.noRule))
        #expect(strict.outcome(for: ["x": 1]) == .drop(.noType))
        #expect(strict.outcome(for: ["type": 1]) == .drop(.noType))
        #expect(open.outcome(for: ["type": "a.b", "x": 1]) == text(#"{"type":"a.b","x":1}"#))
        #expect(open.outcome(for: ["x": 1]) == text(#"{"x":1}"#))
    }

    @Test func theLastOfTwoKeysCounts() {
        let message: LayerMessage = ["type": "a", "type": "carillon.publication", "data": 1, "data": 2]
        #expect(RuleSet.builtIn.outcome(for: message) == text("2"))
    }

    @Test func equalSetsAreOne() throws {
        var registry = RuleSetRegistry()
        let one = RuleSet(rules: [Rule(try TypePattern("a.b"), .text(key: "d"))], otherwise: .drop)
        let same = RuleSet(rules: [Rule(try TypePattern("a_b"), .text(key: "d"))], otherwise: .drop)
        let other = RuleSet(rules: [], otherwise: .json)
        let ids = [one, same, other, one].map { registry.id(for: $0) }
        #expect(ids == [0, 0, 1, 0])
        #expect(Set([one, same]).count == 1)
    }

    @Test(arguments: ["", "a*b", "**"])
    func whatIsNoPatternIsRefused(_ text: String) {
        #expect(throws: RouteError.self) { try TypePattern(text) }
    }
}

extension LayerValue: ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}
