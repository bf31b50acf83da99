import JSON
import NIOCore

/// A ticket: the user's id, signed by `TimestampSigner(salt=…).sign(user_id)` in the view that made the page.
package struct DjangoTicket: Sendable {
    private let signer: DjangoSigner
    /// Seconds a ticket counts.
    private let maxAge: Int64
    private let source: TokenSource
    /// Whether a connection without a ticket is an anonymous visitor; else it is refused.
    private let isOptional: Bool

    package init(secrets: [String], salt: String, maxAge: Int64, source: TokenSource, isOptional: Bool = false) {
        self.signer = DjangoSigner(secrets: secrets, salt: salt)
        self.maxAge = maxAge
        self.source = source
        self.isOptional = isOptional
    }

    func identity(of handshake: Handshake, now: Int64) throws(Refusal) -> Identity {
        guard let ticket = self.source.token(of: handshake), !ticket.isEmpty else {
            guard self.isOptional else { throw Refusal(.unauthenticated, "no ticket in \(self.source.description)") }
            return .anonymous
        }
        let user: String
        do {
            user = try self.signer.unsign(ticket, maxAge: self.maxAge, now: now)
        } catch {
            throw Refusal(.badCredentials, "ticket: \(error)")
        }
        guard !user.isEmpty else { throw Refusal(.badCredentials, "ticket of nobody") }
        return Identity(user: user)
    }
}

/// A session of Django's `signed_cookies` back-end, which is the cookie itself.
///
/// Read at the handshake and not again: a logout deletes the cookie in that browser, and nothing tells anybody else. Of
/// the password hash in the session nothing can be checked without the database, so that a changed password ends such a
/// session only by its age; ask a worker where that matters.
package struct DjangoSession: Sendable {
    private let signer: DjangoSigner
    private let cookie: String
    private let maxAge: Int64

    /// - Parameters:
    ///   - secrets: `SECRET_KEY`, then `SECRET_KEY_FALLBACKS`.
    ///   - cookie: `SESSION_COOKIE_NAME`.
    ///   - maxAge: `SESSION_COOKIE_AGE`, in seconds.
    package init(secrets: [String], cookie: String = "sessionid", maxAge: Int64 = 1_209_600) {
        self.signer = DjangoSigner(secrets: secrets, salt: DjangoSigner.signedCookieSalt)
        self.cookie = cookie
        self.maxAge = maxAge
    }

    /// As Channels: no session, or one that does not count, is an anonymous visitor and no refusal; the route's groups
    /// decide whether such a visitor may follow them.
    func identity(of handshake: Handshake, now: Int64) throws(Refusal) -> Identity {
        guard let cookie = handshake.cookie(self.cookie),
            let payload = try? self.signer.unsignObject(cookie, maxAge: self.maxAge, now: now),
            let session = try? IdentityFacts(ByteBuffer(bytes: payload)),
            let user = session.scalars["_auth_user_id"], !user.isEmpty
        else { return .anonymous }
        return Identity(user: user)
    }
}

/// The name of a user in a header that a trusted proxy sets after it has authenticated the request.
package struct ProxyHeader: Sendable, Hashable {
    package var name: String
    /// Whether a connection without the header is an anonymous visitor; else it is refused.
    package var isOptional: Bool

    package init(name: String, isOptional: Bool = false) {
        self.name = name
        self.isOptional = isOptional
    }

    func identity(of handshake: Handshake) throws(Refusal) -> Identity {
        // From anybody else the header is as good as absent. Twice is a proxy that adds instead of replacing.
        let values = handshake.client.isFromTrustedProxy ? handshake.head.fields.values(self.name) : []
        guard values.count <= 1 else {
            throw Refusal(.badCredentials, "the header \(self.name) came twice; the proxy must replace, not add it")
        }
        if let user = values.first, !user.isEmpty { return Identity(user: user) }
        guard self.isOptional else {
            throw Refusal(.unauthenticated, "no header \(self.name) from a trusted proxy (gateway.trusted_proxies)")
        }
        return .anonymous
    }
}
