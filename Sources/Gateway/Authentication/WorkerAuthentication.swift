import NIOCore

/// Asks a worker who is on a connection: `GET <path>` with the handshake's credentials (`AskRequest`).
///
/// | answer | means |
/// |---|---|
/// | 200 and `{"user": "7", "groups": ["staff"], "claims": {"team": "red"}}` | that user; every key may be missing |
/// | 200 and `{"user": null}` or no `user` | an anonymous visitor |
/// | 204, 401, 403 | refused |
/// | 5xx, no answer, anything else | not available: refused in a way that asks to come back |
package struct WorkerAuthentication: Sendable, Hashable {
    /// Path and query of the question, over captures and the query: `/accounts/whoami?room={room}`.
    package var path: Template
    /// The key of the answer that holds the user's id, a text or a whole number.
    package var userKey = "user"
    /// Keys and values of the answer that mean "nobody is logged in", for applications that answer with a stand-in user.
    package var anonymousIf: [String: String] = [:]
    /// Seconds an answer counts for the same credentials; 0 asks every time.
    package var cacheSeconds: Int64 = 0
    /// Answers kept at most (for a moment twice as many).
    package var cacheCapacity = 10_000

    package init(path: Template) { self.path = path }

    func request(for handshake: Handshake) throws(Refusal) -> AskRequest {
        let target: String
        do {
            target = try self.path.path(for: TemplateValues(handshake, identity: .anonymous))
        } catch {
            throw Refusal(.unauthenticated, "worker path \"\(self.path.text)\": \(error)")
        }
        return AskRequest("GET", target, for: handshake)
    }

    /// What the answer says.
    ///
    /// - Throws: `unauthenticated`, or `authenticationUnavailable` for an answer that decides nothing.
    package func identity(from answer: AskAnswer) throws(Refusal) -> Identity {
        switch answer.status {
        case 200:
            return try self.identity(in: answer.body)
        case 204, 401, 403:
            throw Refusal(.unauthenticated, "\(self.path.text) answered \(answer.status)")
        default:
            throw Refusal(
                .authenticationUnavailable,
                "\(self.path.text) answered \(answer.status), wanted 200 with a JSON object, or 204, 401 or 403 to refuse"
            )
        }
    }

    private func identity(in body: ByteBuffer) throws(Refusal) -> Identity {
        let facts: IdentityFacts
        do {
            facts = try IdentityFacts(body)
        } catch {
            throw Refusal(.authenticationUnavailable, "the answer of \(self.path.text) cannot be used: \(error)")
        }
        guard self.anonymousIf.isEmpty || !self.anonymousIf.allSatisfy({ facts.scalars[$0] == $1 }) else {
            return Identity(user: nil, groups: facts.groups, claims: facts.claims)
        }
        let user = facts.scalars[self.userKey]
        return Identity(user: user?.isEmpty == true ? nil : user, groups: facts.groups, claims: facts.claims)
    }
}
