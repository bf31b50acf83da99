import ChannelLayer
import Foundation
import JSON
import NIOCore
import Settings
import TestSupport
import Testing

@testable import Gateway

/// The routes of a settings file that holds `routes` only, and what is wrong with it.
func readRoutes(
    _ routes: String, environment: [String: String] = [:]
) -> (routes: [RouteConfiguration], faults: String) {
    let reader = SettingsReader(
        path: "settings.json", text: ByteBuffer(string: #"{"gateway": {"routes": \#(routes)}}"#),
        environment: environment,
        known: [RouteConfiguration.setting])
    let read = RouteConfiguration.all(reading: reader, prefix: "/channels/")
    do throws(SettingsFaults) {
        try reader.finish()
        return (read, "")
    } catch {
        return (read, error.description)
    }
}

@Suite struct RouteSettingsTests {
    /// What is wrong with one route, whose other keys are good.
    func faults(_ keys: String, path: String = "/channels/rooms/{room}", authenticate: String = #""anonymous""#)
        -> String
    {
        readRoutes(#"[{"path": "\#(path)", "authenticate": \#(authenticate)\#(keys.isEmpty ? "" : ", " + keys)}]"#)
            .faults
    }

    @Test func aRouteWithEverythingIsRead() throws {
        let (routes, faults) = readRoutes(
            """
            [ { "path": "/channels/rooms/{room}", "authenticate": { "worker": "/who?room={room}" }, "anonymous_user": "nobody",
                "groups": ["room-{room}", "user-{user}"],
                "rules": [ { "type": "a.b", "text": "t" }, { "type": "c", "bytes": "b" }, { "type": "d.*", "json": true },
                           { "type": "e", "json": true, "with_type": false }, { "type": "f", "json": ["x", "y"] },
                           { "type": "g", "json": ["x"], "with_type": true }, { "type": "h", "close": 4001 },
                           { "type": "i", "close": "code" }, { "type": "j", "close": {"code": 4002, "reason": "bye"} },
                           { "type": "k", "close": {"reason_key": "why"} }, { "type": "*", "drop": true } ],
                "otherwise": "json", "receive": { "group": "room-{room}" }, "allowed_origins": ["https://example.org"],
                "on_gap": "close", "refuse": "close", "loopback_only": true } ]
            """)
        #expect(faults == "")
        let route = try #require(routes.first)
        #expect(
            route.path.text == "/channels/rooms/{room}" && route.groups.map(\.text) == ["room-{room}", "user-{user}"])
        #expect(
            route.anonymousUser == "nobody" && route.gap == .close && route.refusal == .close && route.isLoopbackOnly)
        #expect(route.origins == (try OriginCheck(allowing: ["https://example.org"])))
        guard case .worker(let worker) = route.authentication else {
            Issue.record("another authentication")
            return
        }
        #expect(worker.path.text == "/who?room={room}" && worker.cacheSeconds == 0)
        let actions: [Rule.Action] = [
            .text(key: "t"), .bytes(key: "b"), .json(.whole(withType: true)), .json(.whole(withType: false)),
            .json(.keys(["x", "y"], withType: false)), .json(.keys(["x"], withType: true)),
            .close(.init(code: .constant(4001))), .close(.init(code: .key("code"))),
            .close(.init(code: .constant(4002), reason: .constant("bye"))),
            .close(.init(code: .constant(1000), reason: .key("why"))), .drop,
        ]
        #expect(route.rules.rules.map(\.action) == actions && route.rules.otherwise == .json)
        let group = try Template("room-{room}", captures: ["room"])
        #expect(route.receive == .group(group, form: .publication, requiredKey: nil))
    }

    @Test func anEchoIsSaidInOneWord() throws {
        let text = #"[{"path": "/channels/echo/", "authenticate": "anonymous", "receive": "echo"}]"#
        let (routes, faults) = readRoutes(text)
        #expect(faults == "" && routes.first?.receive == .echo)
    }

    @Test func whatIsLeftOutHasDefaults() throws {
        let (routes, faults) = readRoutes(#"[{"path": "/channels/x/", "authenticate": "anonymous"}]"#)
        let route = try #require(routes.first)
        #expect(faults == "" && route.groups.isEmpty && route.rules == .builtIn && route.receive == .drop)
        #expect(route.origins == nil && route.gap == .ignore && route.refusal == .status && !route.isLoopbackOnly)
    }

    @Test func everyFaultIsToldAtOnceWithItsPlace() {
        let (routes, faults) = readRoutes(
            """
            [
              { "path": "/channels/{room}/",
                "groups": ["updates-{usr}"],
                "rules": [ { "typ": "a", "text": "b" } ],
                "otherwise": "drp" },
              { "path": "/other/", "authenticate": "anonymous" }
            ]
            """)
        #expect(routes.isEmpty)
        for expected in [
            "settings.json:2  gateway.routes[0].authenticate is missing",
            #"settings.json:3  gateway.routes[0].groups[0] = "updates-{usr}""#,
            "{usr} is unknown here, wanted one of {room} {user} {query.NAME} {claims.NAME}",
            #"settings.json:4  gateway.routes[0].rules[0].typ"#, #"did you mean "type"?"#,
            "gateway.routes[0].rules[0].type is missing", #"gateway.routes[0].otherwise = "drp""#,
            #"did you mean "drop"?"#,
            #"settings.json:6  gateway.routes[1].path = "/other/""#, "wanted a path below /channels/",
        ] {
            #expect(faults.contains(expected), "\(expected)\n\(faults)")
        }
    }

    @Test(arguments: [
        (#""groups": ["a b"]"#, "A-Z a-z 0-9"), (#""groups": "a""#, "wanted a list"),
        (#""rules": [{"type": "a"}]"#, "says nothing"),
        (#""rules": [{"type": "a", "text": "b", "drop": true}]"#, "only one of"),
        (#""rules": [{"type": "a", "drop": false}]"#, "wanted true"),
        (#""rules": [{"type": "a.b", "drop": true}, {"type": "a_b", "drop": true}]"#, "has a rule above already"),
        (#""rules": [{"type": "websocket.receive", "drop": true}]"#, "comes from browsers only"),
        (#""rules": [{"type": "a*b", "drop": true}]"#, "at the end"),
        (#""rules": [{"type": "a", "text": ""}]"#, "name of a key"),
        (#""rules": [{"type": "a", "text": "b", "with_type": true}]"#, "has no effect here"),
        (#""rules": [{"type": "a", "json": []}]"#, "at least one key"),
        (#""rules": [{"type": "a", "json": ["b", "b"]}]"#, "each once"),
        (#""rules": [{"type": "a", "json": ["type"], "with_type": true}]"#, "adds already"),
        (#""rules": [{"type": "a", "json": false}]"#, "whole message"),
        (#""rules": [{"type": "a", "close": 1005}]"#, "close code"),
        (
            #""rules": [{"type": "a", "close": {"code": 4000, "reason": "a", "reason_key": "b"}}]"#,
            "only one of the two"
        ),
        (#""rules": [{"type": "a", "close": {"cod": 1}}]"#, #"did you mean "code""#),
        (#""receive": "json""#, #"wanted "drop", "echo""#),
        (#""receive": {"group": "x", "worker": "/y"}"#, "only one of"),
        (#""receive": {"group": "x", "type": "a"}"#, "key is missing"),
        (#""receive": {"group": "x", "key": "a"}"#, "has no effect without"),
        (#""receive": {"group": "x", "type": "a.*", "key": "k"}"#, "wanted one type"),
        (#""receive": {"worker": "y"}"#, "path of the workers"),
        (#""receive": {"group": "x", "type": "websocket.receive", "key": "k"}"#, "comes from browsers only"),
        (#""receive": {"layer": "a b"}"#, "no channel name"),
        (#""receive": {"layer": "a", "type": "b"}"#, "has no effect"),
        (#""anonymous_user": "a b""#, "no group name"), (#""allowed_origins": ["https://*.x"]"#, "no origin"),
        (#""allowed_origins": "x""#, "wanted a list"), (#""on_gap": "clos""#, #"did you mean "close""#),
        (#""on_gap": true"#, #"wanted "ignore", "close" or {"send": …}"#),
        (#""on_gap": {"sent": 1}"#, #"did you mean "send""#), (#""on_gap": {}"#, "send is missing"),
        (#""refuse": true"#, "wanted"), (#""rulse": []"#, #"did you mean "rules""#),
        (#""loopback_only": "yes""#, "true or false"),
    ]) func aFaultSaysWhatIsWanted(_ keys: String, _ words: String) {
        let faults = self.faults(keys)
        #expect(faults.contains("gateway.routes[0]") && faults.contains(words), "\(faults)")
        #expect(faults.hasPrefix("1 setting "), "nothing is told twice: \(faults)")
    }

    @Test func aGapIsToldAsTheRouteSays() throws {
        let (routes, faults) = readRoutes(
            """
            [ { "path": "/channels/a", "authenticate": "anonymous", "on_gap": "ignore" },
              { "path": "/channels/b", "authenticate": "anonymous", "on_gap": { "send": { "type": "gap", "n": [1, "é"] } } },
              { "path": "/channels/c", "authenticate": "anonymous", "on_gap": { "send": "gap" } } ]
            """)
        #expect(faults == "")
        let texts = [#"{"type":"gap","n":[1,"é"]}"#, #""gap""#]
        let sends = try texts.map {
            RouteConfiguration.GapBehaviour.send(try JSONText(validating: ByteBuffer(string: $0)))
        }
        #expect(routes.map(\.gap) == [.ignore] + sends)
    }

    @Test(arguments: [
        (#""nobody""#, #"wanted "anonymous""#), ("{}", "says nothing"),
        (#"{"worker": "/a", "jwt": {}}"#, "only one of"),
        (#"{"wrker": "/a"}"#, #"did you mean "worker""#), (#"{"worker": "accounts"}"#, "path of the workers"),
        (#"{"worker": "/a?u={user}"}"#, "what is being asked"), (#"{"worker": "/a?u={rom}"}"#, "{rom} is unknown"),
        (#"{"worker": {"user_key": "a"}}"#, "path is missing"),
        (#"{"worker": {"path": "/a", "cache": "1d"}}"#, "0s to 5m"),
        (#"{"worker": {"path": "/a", "anonymous_if": {"a": []}}}"#, "wanted a text"),
        (#"{"jwt": {}}"#, "keys is missing"),
        (#"{"jwt": {"keys": []}}"#, "keys is missing"),
        (#"{"jwt": {"keys": [{"algorithm": "none", "secret": "a"}]}}"#, "HS256"),
        (#"{"jwt": {"keys": [{"algorithm": "HS256"}]}}"#, "secret is missing"),
        (#"{"jwt": {"keys": [{"algorithm": "HS256", "secret": "tiny"}]}}"#, "at least 32"),
        (#"{"jwt": {"keys": [{"algorithm": "RS256", "public_key": "tiny"}]}}"#, "wanted one in PEM"),
        (#"{"jwt": {"keys": [{"algorithm": "ES256", "public_key": "x", "secret": "y"}]}}"#, "is not for ES256"),
        (#"{"django_ticket": {"secret": "a"}}"#, "salt is missing"),
        (#"{"django_ticket": {"salt": "a"}}"#, "secret is missing"),
        (#"{"django_ticket": {"salt": "a", "secret": ""}}"#, "empty secret"),
        (#"{"django_ticket": {"salt": "a", "secret": "b", "max_age": 0}}"#, "1s to"),
        (#"{"django_session": {"secret": "a", "secrets": ["b"]}}"#, "only one of the two"),
        (#"{"proxy_header": "a b"}"#, "name of a header"),
    ]) func authenticationThatCannotBeUsedSaysWhy(_ authenticate: String, _ words: String) {
        let faults = self.faults("", authenticate: authenticate)
        #expect(faults.contains(words), "\(faults)")
        #expect(!faults.contains("tiny"), "secrets are not shown: \(faults)")
    }

    @Test(arguments: [
        #"{"worker": {"path": "/a?r={room}&x={query.x}", "user_key": "id", "anonymous_if": {"id": -1, "ok": true}, "cache": "5s"}}"#,
        #"{"jwt": {"keys": [{"algorithm": "HS256", "secret": "${SECRET}"}], "query": false, "optional": true, "leeway": "10s"}}"#,
        #"{"django_ticket": {"secret": "${SECRET}", "salt": "ws-ticket", "max_age": "1m", "query": "t"}}"#,
        #"{"django_session": {"secrets": ["${SECRET}", "old"], "cookie": "sessionid_x", "max_age": "14d"}}"#,
        #"{"proxy_header": "X-Remote-User"}"#, #"{"proxy_header": {"name": "X-Remote-User", "optional": true}}"#,
    ]) func everyWayToAuthenticateIsRead(_ authenticate: String) {
        let (routes, faults) = readRoutes(
            #"[{"path": "/channels/{room}", "authenticate": \#(authenticate)}]"#,
            environment: ["SECRET": String(repeating: "s", count: 32)])
        #expect(faults == "" && routes.count == 1)
    }

    @Test func twoRoutesOfOneShapeAreAFault() {
        let (routes, faults) = readRoutes(
            """
            [ {"path": "/channels/{a}", "authenticate": "anonymous"}, {"path": "/channels/{b}", "authenticate": "anonymous"} ]
            """)
        #expect(routes.count == 1 && faults.contains(#"matches what "/channels/{a}" above matches"#), "\(faults)")
    }

    @Test func theExampleOfTheSettingIsGood() throws {
        let (routes, faults) = readRoutes(try #require(RouteConfiguration.setting.example))
        #expect(routes.count == 1 && faults == "")
    }
}

@Suite struct CatmaidProfileTests {
    func route() throws -> RouteConfiguration {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../../../examples/catmaid.json")
        let settings = try JSONValue(parsing: ByteBuffer(bytes: try Data(contentsOf: file)))
        var routes = ByteBuffer()
        routes.writeJSON(try #require(settings["gateway"]?["routes"]))
        let (read, faults) = readRoutes(String(buffer: routes))
        #expect(faults == "")
        return try #require(read.first)
    }

    /// What CATMAID's `/accounts/login` answers to a GET.
    func plan(_ answer: String) throws -> RouteConfiguration.Plan {
        let route = try self.route()
        let handshake = Handshake.with([
            ("Host", "example.org"), ("Cookie", "sessionid_6666cd76f96956469e7be39d750cc7d9=abc"),
        ])
        guard case .ask(let request, let worker) = route.authentication.begin(handshake, now: 0) else {
            throw Refusal(.unauthenticated, "nobody is asked")
        }
        #expect(request.head.target == "/accounts/login")
        let identity = try worker.identity(from: AskAnswer(status: 200, body: ByteBuffer(string: answer)))
        return try route.plan(for: handshake, identity: identity)
    }

    let ann =
        #"{"longname": "Ann", "userid": 7, "username": "ann", "is_superuser": false, "userprofile": {}, "domain": [7]}"#

    @Test func theSocketFollowsTheGroupOfItsUser() throws {
        #expect(try self.plan(self.ann).groups.map(\.text) == ["updates-7"])
    }

    @Test func anonymousVisitorsShareAGroup() throws {
        let visitor = #"{"userid": 1, "username": "AnonymousUser", "warning": " Not logged in"}"#
        #expect(try self.plan(visitor).groups.map(\.text) == ["updates-None"])
    }

    @Test func theTextOfAUserMessageIsTheFrame() throws {
        let text = #"{"event": "new-message", "payload": {"message_id": 3, "message_title": "Microstack finished"}}"#
        let rules = try self.route().rules
        #expect(rules.outcome(for: ["type": "user.message", "data": .string(text)]) == .text(ByteBuffer(string: text)))
        #expect(rules.outcome(for: ["type": "user.message"]) == .drop(.missingKey))
        #expect(rules.outcome(for: ["type": "other", "data": "x"]) == .drop(.noRule))
    }

    @Test func whatTheBrowserSaysIsRepeatedOnlyWithAMessage() throws {
        let receiver = try self.plan(self.ann).receiver
        let said = #"{"message": "hello", "x": 1}"#
        #expect(
            receiver.action(for: .text(ByteBuffer(string: said)))
                == .send(["type": "user.message", "data": .string(said)], to: try GroupName("updates-7")))
        #expect(receiver.action(for: .text(ByteBuffer(string: #"{"x": 1}"#))) == .drop(.missingKey))
        #expect(receiver.action(for: .text(ByteBuffer(string: "hello"))) == .drop(.notJSON))
        #expect(receiver.action(for: .binary(ByteBuffer(string: said))) == .drop(.missingKey))
    }

    @Test func aWorkerThatIsAwayIsToldAfterTheAccept() throws {
        let route = try self.route()
        #expect(route.refusal == .close, "its browser module never comes back after a refused handshake")
        #expect(Refusal(.authenticationUnavailable, "").closeCode == 1013)
    }
}
