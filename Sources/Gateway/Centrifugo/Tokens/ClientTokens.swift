import NIOCore

/// Checks the tokens of the protocol.
struct ClientTokens: Sendable {
    /// `nil`: only subscriptions' tokens count.
    let connections: TokenAuthentication?
    /// With keys of its own, or those of connections.
    let subscriptions: TokenAuthentication

    /// - Parameter now: seconds since 1970.
    func credentials(of token: String, now: Int64) async -> Result<ClientCredentials, ClientCredentials.Fault> {
        guard let connections = self.connections else { return .failure(.invalid) }
        return await connections.claims(of: token, now: now) { claims, user, expires throws(ClientClaims.Malformed) in
            try ClientCredentials(claims, user: user, expires: expires)
        }
    }

    func subscription(of token: String, now: Int64) async -> Result<SubscriptionClaims, ClientCredentials.Fault> {
        await self.subscriptions.claims(of: token, now: now) { claims, user, expires throws(ClientClaims.Malformed) in
            try SubscriptionClaims(claims, user: user, expires: expires)
        }
    }
}

extension TokenAuthentication {
    fileprivate func claims<Value: Sendable>(
        of token: String, now: Int64,
        _ make: (ClientClaims, _ user: String, _ expires: Int64?) throws(ClientClaims.Malformed) -> Value
    ) async -> Result<Value, ClientCredentials.Fault> {
        guard token.utf8.count <= Self.lengthLimit else { return .failure(.invalid) }
        // What kind of token it is decides before its time does: the wrong one is no use at any time.
        var outcome: Result<Value, ClientCredentials.Fault> = .failure(.invalid)
        func read(_ payload: TokenPayload) -> Value? {
            let expires = payload.expires.flatMap { Int64(exactly: $0.rounded(.down)) }
            do throws(ClientClaims.Malformed) {
                return try make(ClientClaims(of: token), payload.claims[self.userClaim] ?? "", expires)
            } catch {
                return nil
            }
        }
        do throws(TokenFault) {
            let payload = try await self.verified(token, now: now)
            guard let value = read(payload) else { return .failure(.invalid) }
            try self.checkTime(payload, now: now)
            outcome = .success(value)
        } catch {
            switch error {
            case .invalid: outcome = .failure(.invalid)
            case .expired: outcome = .failure(.expired)
            case .unavailable: outcome = .failure(.unavailable)
            }
        }
        return outcome
    }
}
