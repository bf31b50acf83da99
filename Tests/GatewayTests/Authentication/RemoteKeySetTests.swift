import JWTKit
import NIOCore
import Synchronization
import Testing

@testable import Gateway

/// Tokens whose keys an identity provider publishes, and changes.
@Suite struct RemoteKeySetTests {
    private struct Claims: JWTPayload {
        var sub = "7"
        func verify(using algorithm: some JWTAlgorithm) async throws {}
    }

    /// A provider with the keys it has now.
    private final class Provider: Sendable {
        private let state = Mutex<(text: String?, asked: Int)>((nil, 0))

        var asked: Int { self.state.withLock { $0.asked } }

        func publish(_ text: String?) { self.state.withLock { $0.text = text } }

        func publish(_ keys: [String: ES256PrivateKey]) {
            self.publish(
                #"{"keys":["#
                    + keys.sorted { $0.key < $1.key }.map { name, key in
                        let point = key.publicKey.parameters
                        let (x, y) = (Self.url(point?.x), Self.url(point?.y))
                        return #"{"kty":"EC","crv":"P-256","kid":"\#(name)","use":"sig","x":"\#(x)","y":"\#(y)"}"#
                    }.joined(separator: ",") + "]}")
        }

        /// Base64 as it stands in key sets.
        private static func url(_ text: String?) -> String {
            String((text ?? "").map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 }.filter { $0 != "=" })
        }

        func answer() throws -> ByteBuffer {
            try self.state.withLock { state in
                state.asked += 1
                guard let text = state.text else { throw ChannelError.eof }
                return ByteBuffer(string: text)
            }
        }
    }

    private let provider = Provider()
    private let keySet = RemoteKeySet(address: .tls(host: "id.example.org", port: 443), target: "/keys", lifetime: 100)

    init() {
        let provider = self.provider
        self.keySet.use { try provider.answer() }
    }

    private func token(_ key: ES256PrivateKey, _ name: String?) async throws -> String {
        let keys = JWTKeyCollection()
        let kid = name.map { JWKIdentifier(string: $0) }
        await keys.add(ecdsa: key, kid: kid)
        return try await keys.sign(Claims(), kid: kid)
    }

    private func outcome(_ token: String, now: Int64) async -> String {
        do throws(TokenFault) {
            return try await self.keySet.verify(token, now: now).claims["sub"] ?? ""
        } catch {
            switch error {
            case .invalid: return "invalid"
            case .expired: return "expired"
            case .unavailable: return "unavailable"
            }
        }
    }

    @Test func keysAreFetchedOnceAndAgainWhenTheyAreOldOrUnknown() async throws {
        let (old, new) = (ES256PrivateKey(), ES256PrivateKey())
        self.provider.publish(["old": old])
        let token = try await self.token(old, "old")
        for _ in 0..<5 { #expect(await self.outcome(token, now: 1_000) == "7") }
        #expect(self.provider.asked == 1)
        // The provider changes its keys: a token names one that is not known.
        self.provider.publish(["old": old, "new": new])
        #expect(await self.outcome(try self.token(new, "new"), now: 1_010) == "7")
        #expect(self.provider.asked == 2)
        #expect(await self.outcome(token, now: 1_109) == "7")
        #expect(self.provider.asked == 2)
        #expect(await self.outcome(token, now: 1_110) == "7")
        #expect(self.provider.asked == 3)
        // The old one is withdrawn.
        self.provider.publish(["new": new])
        #expect(await self.outcome(token, now: 1_210) == "invalid")
    }

    @Test func strangersCannotMakeItFetch() async throws {
        let key = ES256PrivateKey()
        self.provider.publish(["a": key])
        let stranger = ES256PrivateKey()
        for name in 0..<50 {
            #expect(await self.outcome(try self.token(stranger, "\(name)"), now: 1_000) == "invalid")
        }
        #expect(await self.outcome(try self.token(stranger, "a"), now: 1_000) == "invalid")
        #expect(await self.outcome(try self.token(key, nil), now: 1_000) == "7")
        #expect(self.provider.asked == 1)
    }

    @Test func withoutTheProviderTheKeysOfBeforeCount() async throws {
        let key = ES256PrivateKey()
        let token = try await self.token(key, "a")
        #expect(await self.outcome(token, now: 1_000) == "unavailable")
        self.provider.publish(["a": key])
        #expect(await self.outcome(token, now: 1_001) == "unavailable")
        #expect(await self.outcome(token, now: 1_005) == "7")
        self.provider.publish(nil)
        #expect(await self.outcome(token, now: 2_000) == "7")
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"keys":{}}"#, #"{"keys":[1,null,{"kty":"oct","k":"c2VjcmV0","kid":"a"}]}"#,
        #"{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"!","y":"?"},{"kty":"RSA","kid":"a","n":"","e":""}]}"#,
    ]) func whatIsNoKeySetGivesNoKeys(text: String) async throws {
        self.provider.publish(text)
        let outcome = await self.outcome(try self.token(ES256PrivateKey(), "a"), now: 1_000)
        #expect(outcome == "invalid" || outcome == "unavailable")
    }

    @Test func manyTokensWaitForOneFetch() async throws {
        let key = ES256PrivateKey()
        self.provider.publish(["a": key])
        let token = try await self.token(key, "a")
        await withTaskGroup(of: String.self) { group in
            for _ in 0..<100 { group.addTask { await self.outcome(token, now: 1_000) } }
            for await outcome in group { #expect(outcome == "7") }
        }
        #expect(self.provider.asked == 1)
    }
}
