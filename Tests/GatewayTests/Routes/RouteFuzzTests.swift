import ChannelLayer
import HTTP1
import NIOCore
import TestSupport
import Testing

@testable import Gateway

/// Whatever a browser, a proxy or a worker says: an answer or an error, never a trap, and what gets through is sound.
@Suite struct RouteFuzzTests {
    func inputs(_ corpus: [String], _ interesting: String, rounds: Int = 3_000) -> [String] {
        var mutator = Mutator(corpus: corpus.map { Array($0.utf8) }, interesting: Array(interesting.utf8), seed: 2_026)
        return (0..<rounds).map { _ in String(decoding: mutator.next(), as: UTF8.self) }
    }

    @Test func pathsFindARouteOrNone() throws {
        let patterns = try ["/channels/updates/", "/channels/rooms/{room}/{kind}", "/channels/{a}/x"].map {
            try PathPattern($0)
        }
        let table = try RouteTable(patterns)
        let group = try Template("g-{room}-{query.x}", captures: ["room", "kind"])
        let corpus = [
            "/channels/updates/", "/channels/rooms/a%20b/c?x=1&y", "/channels/%C3%A9/x", "*", "http://h/channels/a/x?x",
        ]
        for target in self.inputs(corpus, "/%?&=+{}") {
            let handshake = Handshake.with(target: target)
            guard let match = table.match(handshake.head.path) else { continue }
            #expect(match.captures.count == patterns[match.route].captureNames.count && !match.captures.contains(""))
            let values = TemplateValues(captures: match.captures, query: handshake.queryItem)
            if let name = try? group.group(for: values) { #expect((try? GroupName(name.text)) != nil) }
        }
    }

    @Test func patternsAndTemplatesAreReadOrRefused() throws {
        for text in self.inputs(["/channels/rooms/{room}/{kind}", "updates-{user}", "{claims.a}.{query.b}"], "/{}.%*") {
            if let pattern = try? PathPattern(text) { _ = try RouteTable([pattern]).match(text) }
            if let template = try? Template(text, captures: ["room"]) {
                _ = try? template.path(for: TemplateValues(captures: ["a/b"], identity: Identity(user: "7")))
            }
        }
    }

    @Test func noMutationOfAStrangersOriginIsLetIn() throws {
        let check = try OriginCheck(allowing: ["self", "https://.example.org:8443", "app.example"])
        let corpus = [
            "https://evil.test", "http://evil.test:80", "null", "https://[::1]:8", "https://x.evil.test:8443",
        ]
        for origin in self.inputs(corpus, ":/[]@.%") where !origin.contains("example") {
            let handshake = Handshake.with([("Host", "own.test"), ("Origin", origin)])
            #expect(refusal { try check.check(handshake) } != nil, "\(origin)")
        }
    }

    @Test func headersOfAnyShapeAreRead() {
        let corpus = [
            "sessionid=a; b=\"c\"", "a=b;=;;c", "carillon.token.a%3Ab, json", "Bearer abc",
            "192.0.2.1, [::1]:8, unknown",
        ]
        let ticket = DjangoTicket(secrets: ["s"], salt: "t", maxAge: 60, source: TokenSource(query: "q"))
        for value in self.inputs(corpus, "=;,\"% :.[]") {
            let handshake = Handshake.with([
                ("Cookie", value), ("Sec-WebSocket-Protocol", value), ("Authorization", value),
                ("X-Forwarded-Host", value),
            ])
            _ = (handshake.cookie("sessionid"), handshake.subprotocolForToken, handshake.requestedHost)
            #expect(refusal { _ = try ticket.identity(of: handshake, now: 0) } != nil)
            let request = AskRequest("GET", "/", for: handshake)
            #expect(!request.head.fields.contains { $0.value.utf8.contains { $0 == 10 || $0 == 13 } })
        }
    }

    @Test func answersOfWorkersNameSomebodyOrNobody() throws {
        let worker = WorkerAuthentication(path: try Template("/w", captures: []))
        let corpus = [
            #"{"user": "7", "groups": ["a", "b.c"], "claims": {"x": 1, "y": true}}"#, #"{"user": null}"#, "[[[{}]]]",
        ]
        for body in self.inputs(corpus, #"{}[]",:0"#) {
            let identity = try? worker.identity(from: AskAnswer(status: 200, body: ByteBuffer(string: body)))
            for group in identity?.groups ?? [] { #expect((try? GroupName(group.text)) != nil) }
        }
    }

    @Test func messagesFromBrowsersAreSentOrDropped() throws {
        let receiver = Receiver.group(try GroupName("g"), form: .publication, requiredKey: "message")
        for text in self.inputs([#"{"message": {"a": [1, 2.5e3, "\u00e9"]}}"#, #"{"x": 1}"#, "true"], #"{}[]",:\"#) {
            if case .send(let message, _) = receiver.action(for: .text(ByteBuffer(string: text))) {
                #expect(RuleSet.builtIn.outcome(for: message) != .drop(.notEncodable))
            }
        }
    }
}
