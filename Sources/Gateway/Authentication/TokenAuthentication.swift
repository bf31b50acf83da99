import JWTKit

/// A JSON Web Token (RFC 7519): `sub` is the user, `exp` and `nbf` are enforced, other claims can be used in templates.
package struct TokenAuthentication: Sendable {
    private let keys: TokenKeys
    package var source: TokenSource
    /// Wanted among `aud`; `nil` does not look at it.
    package var audience: String?
    /// Wanted as `iss`; `nil` does not look at it.
    package var issuer: String?
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
            throw Refusal(.badCredentials, error.message)
        }
        return try self.identity(payload)
    }

    /// The claims of a token that counts now. What is wrong for good is found before what a new token would mend.
    ///
    /// - Parameter now: seconds since 1970.
    func payload(of token: String, now: Int64) async throws(TokenFault) -> TokenPayload {
        let payload: TokenPayload
        do {
            payload = try await self.keys.verify(token)
        } catch {
            throw .invalid("token: \(error)")
        }
        if let audience = self.audience, payload.lists["aud"]?.contains(audience) != true,
            payload.claims["aud"] != audience
        {
            throw .invalid("token is for another audience, wanted \"\(audience)\"")
        }
        if let issuer = self.issuer, payload.claims["iss"] != issuer {
            throw .invalid("token is from another issuer, wanted \"\(issuer)\"")
        }
        if let expires = payload.expires, Double(now - self.leeway) >= expires { throw .expired("token expired") }
        if let notBefore = payload.notBefore, Double(now + self.leeway) < notBefore {
            throw .expired("token does not count yet")
        }
        return payload
    }

    private func identity(_ payload: TokenPayload) throws(Refusal) -> Identity {
        let user = payload.claims["sub"]
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

    var message: String {
        switch self {
        case .invalid(let message), .expired(let message): message
        }
    }
}

/// The keys of a route's tokens, made ready at the first token: the collection is an actor, and settings are read where
/// nothing can be awaited.
private actor TokenKeys {
    private let keys: [TokenKey]
    private var collection: JWTKeyCollection?

    init(_ keys: [TokenKey]) { self.keys = keys }

    /// The key whose `kid` the token names, or else every key: each is bound to its algorithm, whatever the token's
    /// header claims.
    func verify(_ token: String) async throws -> TokenPayload {
        let collection: JWTKeyCollection
        if let ready = self.collection {
            collection = ready
        } else {
            collection = JWTKeyCollection()
            for (index, key) in self.keys.enumerated() { try await key.add(to: collection, index) }
            self.collection = collection
        }
        return try await collection.verify(token, as: TokenPayload.self, iteratingKeys: self.keys.count > 1)
    }
}
