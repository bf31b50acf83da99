import JWTKit

/// A JSON Web Token (RFC 7519): `sub` is the user, `exp` and `nbf` are enforced, other claims can be used in templates.
package struct TokenAuthentication: Sendable {
    private let keys: TokenKeys
    /// Public keys that are fetched; `nil` for none.
    package var keySet: RemoteKeySet?
    package var source: TokenSource
    /// Wanted among `aud`; `nil` does not look at it.
    package var audience: String?
    /// Wanted as `iss`; `nil` does not look at it.
    package var issuer: String?
    /// What one of `aud` must match, and what `iss` must; `nil` does not look at it.
    package var audiencePattern: TextPattern?
    package var issuerPattern: TextPattern?
    /// The claim that names the user.
    package var userClaim = "sub"
    /// A claim with a list of group names to follow; `nil` for none (`groups` of an identity provider means other groups).
    package var groupsClaim: String?
    /// Seconds by which clocks may differ.
    package var leeway: Int64 = 5
    /// Whether a connection without a token is an anonymous visitor; else it is refused. A token that is not valid is
    /// refused in any case.
    package var isOptional = false

    /// Characters of a token at most.
    static let lengthLimit = 8_192

    package init(keys: [TokenKey], source: TokenSource) {
        self.keys = TokenKeys(keys)
        self.source = source
    }

    /// - Returns: `nil` for an anonymous visitor.
    func token(of handshake: Handshake) throws(Refusal) -> String? {
        if let token = self.source.token(of: handshake), !token.isEmpty {
            guard token.utf8.count <= Self.lengthLimit else {
                throw Refusal(
                    .badCredentials, "a token of \(token.utf8.count) bytes, wanted at most \(Self.lengthLimit)")
            }
            return token
        }
        guard self.isOptional else { throw Refusal(.unauthenticated, "no token in \(self.source.description)") }
        return nil
    }

    /// Whom a token names.
    ///
    /// - Parameter now: seconds since 1970.
    /// - Throws: `badCredentials` with what is wrong with it.
    package func identity(of token: String, now: Int64) async throws(Refusal) -> Identity {
        let payload: TokenPayload
        do throws(TokenFault) {
            payload = try await self.payload(of: token, now: now)
        } catch {
            if case .unavailable(let message) = error { throw Refusal(.authenticationUnavailable, message) }
            throw Refusal(.badCredentials, error.message)
        }
        return try self.identity(payload)
    }

    /// The claims of a token that counts now. What is wrong for good is found before what a new token would mend.
    ///
    /// - Parameter now: seconds since 1970.
    func payload(of token: String, now: Int64) async throws(TokenFault) -> TokenPayload {
        let payload = try await self.verified(token, now: now)
        try self.checkTime(payload, now: now)
        return payload
    }

    /// The claims of a token that is ours and for us, whenever it counts.
    func verified(_ token: String, now: Int64) async throws(TokenFault) -> TokenPayload {
        let payload = try await self.signed(token, now: now)
        let audiences = payload.lists["aud"] ?? payload.claims["aud"].map { [$0] } ?? []
        if let audience = self.audience, !audiences.contains(audience) {
            throw .invalid("token is for another audience, wanted \"\(audience)\"")
        }
        if let pattern = self.audiencePattern, !audiences.contains(where: pattern.matches) {
            throw .invalid("token is for another audience, wanted one that matches \(pattern)")
        }
        let issuer = payload.claims["iss"]
        if let wanted = self.issuer, issuer != wanted {
            throw .invalid("token is from another issuer, wanted \"\(wanted)\"")
        }
        if let pattern = self.issuerPattern, !(issuer.map(pattern.matches) ?? false) {
            throw .invalid("token is from another issuer, wanted one that matches \(pattern)")
        }
        return payload
    }

    func checkTime(_ payload: TokenPayload, now: Int64) throws(TokenFault) {
        if let expires = payload.expires, Double(now - self.leeway) >= expires { throw .expired("token expired") }
        if let notBefore = payload.notBefore, Double(now + self.leeway) < notBefore {
            throw .expired("token does not count yet")
        }
    }

    /// The claims of a token that one of the keys signed.
    private func signed(_ token: String, now: Int64) async throws(TokenFault) -> TokenPayload {
        let problem: String
        do {
            return try await self.keys.verify(token, now: now)
        } catch {
            problem = "token: \(error)"
        }
        guard let keySet = self.keySet else { throw .invalid(problem) }
        return try await keySet.verify(token, now: now)
    }

    private func identity(_ payload: TokenPayload) throws(Refusal) -> Identity {
        let user = payload.claims[self.userClaim]
        var identity = Identity(
            user: user?.isEmpty == true ? nil : user, claims: payload.claims,
            expires: payload.expires.flatMap { Int64(exactly: $0.rounded(.down)) })
        if let groupsClaim, let names = payload.lists[groupsClaim] { identity.groups = try names.groupNames() }
        return identity
    }
}

/// Why a token does not count.
enum TokenFault: Error {
    /// It never will.
    case invalid(String)
    /// Its time is over, or has not come.
    case expired(String)
    /// The keys could not be had.
    case unavailable(String)

    var message: String {
        switch self {
        case .invalid(let message), .expired(let message), .unavailable(let message): message
        }
    }
}

/// The keys of a route's tokens, made ready at the first token: the collection is an actor, and settings are read where
/// nothing can be awaited.
private actor TokenKeys {
    private let keys: [TokenKey]
    private var collection: JWTKeyCollection?
    /// Until when the collection is right: the next end of a key.
    private var counts = Int64.max

    init(_ keys: [TokenKey]) { self.keys = keys }

    /// The key whose `kid` the token names, or else every key: each is bound to its algorithm, whatever the token's
    /// header claims.
    func verify(_ token: String, now: Int64) async throws -> TokenPayload {
        if now >= self.counts { self.collection = nil }
        let collection: JWTKeyCollection
        if let ready = self.collection {
            collection = ready
        } else {
            collection = JWTKeyCollection()
            let valid = self.keys.filter { $0.validUntil > now }
            guard !valid.isEmpty else { throw NoKeys() }
            for (index, key) in valid.enumerated() { try await key.add(to: collection, index) }
            self.counts = valid.map(\.validUntil).min() ?? .max
            self.collection = collection
        }
        return try await collection.verify(token, as: TokenPayload.self, iteratingKeys: self.keys.count > 1)
    }

    private struct NoKeys: Error, CustomStringConvertible { var description: String { "no key counts" } }
}
