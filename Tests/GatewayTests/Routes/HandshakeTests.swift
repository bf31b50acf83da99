import Testing

@testable import Gateway

@Suite struct HandshakeTests {
    @Test func cookiesAreFoundAsDjangoFindsThem() {
        let handshake = Handshake.with([
            ("Cookie", #"a=1; sessionid=x=y ;sessionid_ab="quoted"; a=2; empty="#), ("Cookie", "late=3"),
        ])
        #expect(handshake.cookie("a") == "2")
        #expect(handshake.cookie("sessionid") == "x=y")
        #expect(handshake.cookie("sessionid_ab") == "quoted")
        #expect(handshake.cookie("empty") == "")
        #expect(handshake.cookie("late") == "3")
        #expect(handshake.cookie("session") == nil)
        #expect(Handshake.with().cookie("a") == nil)
    }

    @Test func aTokenCanComeAsSubprotocol() {
        let handshake = Handshake.with([("Sec-WebSocket-Protocol", "carillon.token.7%3A1r31eq%3Aab, json")])
        #expect(handshake.tokenInSubprotocols == "7:1r31eq:ab")
        #expect(handshake.subprotocolForToken == "json")
        let alone = Handshake.with([("Sec-WebSocket-Protocol", "carillon.token.abc")])
        #expect(alone.subprotocolForToken == "carillon.token.abc")
        let none = Handshake.with([("Sec-WebSocket-Protocol", "json")])
        #expect(none.tokenInSubprotocols == nil && none.subprotocolForToken == nil)
        #expect(Handshake.with([("Sec-WebSocket-Protocol", "carillon.token.%zz")]).tokenInSubprotocols == nil)
    }

    @Test func onlyATrustedProxySaysWhichHostWasAskedFor() {
        let fields = [("Host", "inside:8001"), ("X-Forwarded-Host", "example.org, proxy")]
        #expect(Handshake.with(fields).requestedHost == "inside:8001")
        #expect(Handshake.with(fields, throughProxy: true).requestedHost == "example.org")
        #expect(Handshake.with([("Host", "inside")], throughProxy: true).requestedHost == "inside")
    }
}
