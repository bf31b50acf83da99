import ChannelLayer
import JWTKit
import Testing

@testable import Gateway

private let secret = "a secret of at least sixty-four bytes, which is what HS512 is to be given"

/// Any claims, for signing.
private struct Claims: JWTPayload {
    var sub: String? = "7"
    var exp: Int64?
    var nbf: Int64?
    var aud: [String]?
    var iss: String?
    var team: String? = "red"
    var rooms: [String]?
    func verify(using algorithm: some JWTAlgorithm) async throws {}
}

@Suite struct TokenAuthenticationTests {
    func authentication(_ keys: [TokenKey]? = nil, _ change: (inout TokenAuthentication) -> Void = { _ in }) throws
        -> TokenAuthentication
    {
        var authentication = TokenAuthentication(
            keys: try keys ?? [TokenKey(algorithm: "HS256", secret)], source: TokenSource(query: "token"))
        change(&authentication)
        return authentication
    }

    fileprivate func token(
        _ claims: Claims, secret text: String = secret, digest: DigestAlgorithm = .sha256, kid: JWKIdentifier? = nil
    ) async throws -> String {
        let keys = JWTKeyCollection()
        await keys.add(hmac: HMACKey(from: text), digestAlgorithm: digest, kid: kid)
        return try await keys.sign(claims, kid: kid)
    }

    func outcome(_ authentication: TokenAuthentication, _ token: String, now: Int64 = 1_000) async -> String {
        do throws(Refusal) {
            return try await authentication.identity(of: token, now: now).user ?? "anonymous"
        } catch {
            return error.reason.rawValue
        }
    }

    @Test func aValidTokenNamesItsUserAndClaims() async throws {
        let identity = try await self.authentication().identity(of: self.token(Claims(exp: 2_000)), now: 1_000)
        #expect(identity.user == "7" && identity.claims["team"] == "red" && identity.expires == 2_000)
        #expect(await self.outcome(try self.authentication(), try self.token(Claims(sub: nil))) == "anonymous")
    }

    @Test func itsTimesAreEnforced() async throws {
        let authentication = try self.authentication()
        let token = try await self.token(Claims(exp: 1_000, nbf: 900))
        #expect(await self.outcome(authentication, token, now: 999) == "7")
        #expect(await self.outcome(authentication, token, now: 1_004) == "7", "clocks differ a little")
        #expect(await self.outcome(authentication, token, now: 1_005) == "bad_credentials")
        #expect(await self.outcome(authentication, token, now: 895) == "7")
        #expect(await self.outcome(authentication, token, now: 894) == "bad_credentials")
    }

    @Test func anotherKeyOrAlgorithmIsRefused() async throws {
        let authentication = try self.authentication()
        #expect(await self.outcome(authentication, try self.token(Claims(), secret: secret + "x")) == "bad_credentials")
        #expect(await self.outcome(authentication, try self.token(Claims(), digest: .sha512)) == "bad_credentials")
        // {"alg":"none"} . {"sub":"7"} .
        #expect(await self.outcome(authentication, "eyJhbGciOiJub25lIn0.eyJzdWIiOiI3In0.") == "bad_credentials")
    }

    @Test func everyChangedCharacterIsNoticed() async throws {
        let authentication = try self.authentication()
        let token = Array(try await self.token(Claims()).utf8)
        for index in token.indices {
            var changed = token
            changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "Q") : UInt8(ascii: "A")
            #expect(
                await self.outcome(authentication, String(decoding: changed, as: UTF8.self)) == "bad_credentials",
                "byte \(index)")
        }
        for text in ["", ".", "..", "a.b.c", "e30.e30.e30", "....", "é"] {
            #expect(await self.outcome(authentication, text) == "bad_credentials")
        }
    }

    @Test func severalKeysAreTriedOrChosenByName() async throws {
        let other = secret + "x"
        let keys = [
            try TokenKey(algorithm: "HS256", secret), try TokenKey(algorithm: "HS256", other, id: "new"),
            try TokenKey(algorithm: "HS512", other),
        ]
        let authentication = try self.authentication(keys)
        #expect(await self.outcome(authentication, try self.token(Claims())) == "7")
        #expect(await self.outcome(authentication, try self.token(Claims(), secret: other)) == "7")
        #expect(await self.outcome(authentication, try self.token(Claims(), secret: other, kid: "new")) == "7")
        #expect(await self.outcome(authentication, try self.token(Claims(), secret: other, digest: .sha512)) == "7")
        #expect(await self.outcome(authentication, try self.token(Claims(), secret: other + "y")) == "bad_credentials")
    }

    @Test func audienceAndIssuerCanBeWanted() async throws {
        let token = try await self.token(Claims(aud: ["a", "b"], iss: "me"))
        #expect(await self.outcome(try self.authentication { $0.audience = "b" }, token) == "7")
        #expect(await self.outcome(try self.authentication { $0.audience = "c" }, token) == "bad_credentials")
        #expect(await self.outcome(try self.authentication { $0.issuer = "me" }, token) == "7")
        #expect(await self.outcome(try self.authentication { $0.issuer = "you" }, token) == "bad_credentials")
        #expect(
            await self.outcome(try self.authentication { $0.audience = "b" }, try self.token(Claims()))
                == "bad_credentials")
    }

    @Test func groupsComeFromTheClaimThatIsNamed() async throws {
        let token = try await self.token(Claims(rooms: ["a", "b"]))
        #expect(try await self.authentication().identity(of: token, now: 0).groups == [])
        let named = try self.authentication { $0.groupsClaim = "rooms" }
        #expect(try await named.identity(of: token, now: 0).groups.map(\.text) == ["a", "b"])
        #expect(await self.outcome(named, try self.token(Claims(rooms: ["a b"]))) == "invalid_group")
    }

    @Test func publicKeysVerifyWhatPrivateKeysSigned() async throws {
        let es256 = ES256PrivateKey()
        let eddsa = try EdDSA.PrivateKey()
        let keys = JWTKeyCollection()
        await keys.add(ecdsa: es256, kid: "es").add(eddsa: eddsa, kid: "ed")
        let authentication = try self.authentication([
            TokenKey(algorithm: "ES256", es256.publicKey.pemRepresentation, id: "es"),
            TokenKey(algorithm: "EdDSA", eddsa.publicKey.pemRepresentation, id: "ed"),
        ])
        #expect(await self.outcome(authentication, try await keys.sign(Claims(), kid: "es")) == "7")
        #expect(await self.outcome(authentication, try await keys.sign(Claims(), kid: "ed")) == "7")
    }

    @Test(arguments: TokenKey.algorithms + ["none", "hs256", ""])
    func whatIsNoKeyIsAFaultThatSaysWhy(_ algorithm: String) {
        let error = #expect(throws: RouteError.self) { try TokenKey(algorithm: algorithm, "short") }
        #expect(error?.message.contains("wanted") == true)
    }

    @Test func aTokenIsWantedUnlessItIsOptional() throws {
        #expect(refusal { _ = try self.authentication().token(of: .with()) }?.reason == .unauthenticated)
        #expect(try self.authentication { $0.isOptional = true }.token(of: .with()) == nil)
        #expect(try self.authentication().token(of: .with(target: "/?token=abc")) == "abc")
        let long = String(repeating: "a", count: 8_193)
        #expect(
            refusal { _ = try self.authentication().token(of: .with(target: "/?token=" + long)) }?.reason
                == .badCredentials)
    }
}
