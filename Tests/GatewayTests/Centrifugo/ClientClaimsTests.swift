import JSON
import NIOCore
import Testing

@testable import Gateway

@Suite struct ClientClaimsTests {
    private func claims(_ text: String) throws -> ClientClaims {
        try ClientClaims(JSONText(validating: ByteBuffer(string: text)))
    }

    private func json(_ text: String) -> ClientData { .json(JSONText(unchecked: ByteBuffer(string: text))) }

    @Test func allThatAConnectionsTokenSaysIsRead() throws {
        let credentials = try ClientCredentials(
            self.claims(
                """
                {"sub": "42", "info": {"name": "Ann"}, "meta": {"tenant": 5}, "channels": ["news"], "expire_at": 0,
                 "subs": {"chat:7": {"b64info": "eyJhIjoxfQ==", "data": [1], "override": {"presence": {"value": true},
                   "force_recovery": {"value": false}, "join_leave": {}, "unknown": 1}, "expire_at": 500}, "news": {}}}
                """), user: "42", expires: 100)
        #expect(credentials.user == "42" && credentials.info == self.json(#"{"name": "Ann"}"#))
        #expect(credentials.expires == nil)
        #expect(credentials.meta.map { String(buffer: $0.bytes) } == #"{"tenant": 5}"#)
        #expect(credentials.channels.keys.sorted() == ["chat:7", "news"])
        let grant = try #require(credentials.channels["chat:7"])
        #expect(grant.info == .bytes(ByteBuffer(string: #"{"a":1}"#)))
        #expect(grant.data == self.json("[1]") && grant.expires == 500)
        #expect(grant.overrides == ChannelOverrides(presence: true, forceRecovery: false))
    }

    @Test func aTokensEndIsTheConnectionsUnlessItSaysSo() throws {
        func expires(_ text: String) throws -> Int64? {
            try ClientCredentials(self.claims(text), user: "", expires: 100).expires
        }
        #expect(try expires("{}") == 100)
        #expect(try expires(#"{"expire_at": 50}"#) == 50)
        #expect(try expires(#"{"expire_at": 50.5}"#) == 50)
        #expect(try expires(#"{"expire_at": 0}"#) == nil)
        #expect(try expires(#"{"expire_at": null}"#) == 100)
    }

    @Test(arguments: [
        #"{"channel": "x"}"#, #"{"channels": "x"}"#, #"{"channels": [1]}"#, #"{"subs": []}"#, #"{"subs": {"a": 1}}"#,
        #"{"meta": 1}"#, #"{"b64info": "?"}"#, #"{"b64info": 1}"#, #"{"expire_at": "1"}"#, #"{"expire_at": 1e300}"#,
        #"{"subs": {"a": {"override": {"presence": {"value": 1}}}}}"#, "[]",
    ]) func whatCannotBeReadMakesATokenInvalid(text: String) {
        #expect(throws: (any Error).self) {
            _ = try ClientCredentials(self.claims(text), user: "", expires: nil)
        }
    }

    @Test func aSubscriptionsTokenNamesItsChannel() throws {
        let claims = try SubscriptionClaims(
            self.claims(#"{"channel": "$a", "client": "c", "expire_at": 9}"#), user: "1", expires: 5)
        #expect(claims.channel == "$a" && claims.client == "c" && claims.user == "1" && claims.grant.expires == 9)
        for text in ["{}", #"{"channel": ""}"#, #"{"channel": 1}"#] {
            #expect(throws: (any Error).self) { _ = try SubscriptionClaims(self.claims(text), user: "", expires: nil) }
        }
    }
}
