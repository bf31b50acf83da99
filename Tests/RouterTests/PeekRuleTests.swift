import TestSupport
import Testing

@testable import Router

@Suite struct PeekRuleTests {
    private let rule = PeekRule(prefix: "/channels/")

    private func decide(_ text: String) -> PeekDecision { self.decide(Array(text.utf8)) }

    private func decide(_ bytes: [UInt8]) -> PeekDecision { bytes.withUnsafeBytes { self.rule.decide($0) } }

    @Test(arguments: [
        "GET /channels/", "GET /channels/updates/ HTTP/1.1\r\n", "POST /channels/emulation HTTP/1.1\r\n",
        "OPTIONS /channels/x", "GET /channels//", "ABCDEFGHIJKLMNOP /channels/",
    ])
    func isForTheGateways(_ text: String) {
        #expect(self.decide(text) == .gateway)
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n", "GET /channel ", "GET /channels ", "GET /channels?", "GET  /channels/", "GET\t/channels/",
        "get /channels/", "GET http://a/channels/", "\r\nGET /channels/", " GET /channels/", "/channels/",
        "M-SEARCH /channels/", "ABCDEFGHIJKLMNOPQ /channels/", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /%63hannels/",
        "\u{16}\u{3}\u{1}\u{2}", "GET /CHANNELS/", "GET \0channels/", "CONNECT a:1 ", "OPTIONS * ",
    ])
    func isForTheProxy(_ text: String) {
        #expect(self.decide(text) == .proxy)
    }

    @Test func aDecisionNeverDependsOnHowTheBytesAreCut() {
        for text in [
            "GET /channels/x HTTP/1.1\r\n", "GET /channelz/x", "DELETE /a", "GET /channels\r\n", "\u{16}\u{3}abc",
        ] {
            let bytes = Array(text.utf8)
            let whole = self.decide(bytes)
            var decided: PeekDecision?
            for length in 0...bytes.count {
                let decision = self.decide(Array(bytes[..<length]))
                if decision == .undecided {
                    #expect(decided == nil, "\(text) became undecided again")
                } else {
                    #expect(decision == whole)
                    decided = decision
                }
            }
            #expect(decided == whole)
        }
    }

    @Test func enoughBytesAlwaysDecide() {
        var mutator = Mutator(
            corpus: ["GET /channels/updates/ HTTP/1.1\r\nHost: a\r\n\r\n", "ABCDEFGHIJKLMNOP /channels/"].map {
                Array($0.utf8)
            },
            interesting: Array(" /GETchannels\r\n".utf8), seed: 7)
        for _ in 0..<20_000 {
            let bytes = mutator.next()
            let decision = self.decide(bytes)
            if bytes.count >= self.rule.bytesNeeded { #expect(decision != .undecided) }
            if decision == .gateway {
                let space = bytes.firstIndex(of: 0x20)
                #expect(space.map { Array(bytes[($0 + 1)...].prefix(10)) } == Array("/channels/".utf8))
            }
        }
    }

    @Test func withoutGatewaysEverythingIsForTheProxy() {
        let rule = PeekRule(prefix: "")
        #expect(Array("GET /channels/".utf8).withUnsafeBytes { rule.decide($0) } == .proxy)
        #expect([].withUnsafeBytes { rule.decide($0) } == .proxy)
    }
}
