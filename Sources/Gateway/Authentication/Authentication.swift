package import NIOCore

/// How a route finds out who is on a connection.
package enum Authentication: Sendable {
    /// Nobody is asked; everybody is an anonymous visitor.
    case anonymous
    /// A worker is asked over HTTP with the handshake's credentials.
    case worker(WorkerAuthentication)
    /// A JSON Web Token, checked here.
    case jwt(TokenAuthentication)
    /// A short-lived value signed by Django's `TimestampSigner`, checked here.
    case djangoTicket(DjangoTicket)
    /// A session of Django's signed-cookie back-end, checked here.
    case djangoSession(DjangoSession)
    /// A header a trusted proxy sets.
    case proxyHeader(ProxyHeader)
}

/// What is known of a handshake at once, and what is still to be asked.
package enum AuthenticationStep: Sendable {
    case identified(Identity)
    case refused(Refusal)
    /// Send `request`, then ask `authentication.identity(from:)` with the answer.
    case ask(AskRequest, WorkerAuthentication)
    /// Await `authentication.identity(of:now:)`.
    case verify(token: String, TokenAuthentication)
}

extension Authentication {
    /// The first step. Everything that needs no waiting is decided here.
    ///
    /// - Parameter now: seconds since 1970.
    package func begin(_ handshake: Handshake, now: Int64) -> AuthenticationStep {
        do {
            switch self {
            case .anonymous: return .identified(.anonymous)
            case .worker(let worker): return .ask(try worker.request(for: handshake), worker)
            case .djangoTicket(let ticket): return .identified(try ticket.identity(of: handshake, now: now))
            case .djangoSession(let session): return .identified(try session.identity(of: handshake, now: now))
            case .proxyHeader(let header): return .identified(try header.identity(of: handshake))
            case .jwt(let jwt):
                guard let token = try jwt.token(of: handshake) else { return .identified(.anonymous) }
                return .verify(token: token, jwt)
            }
        } catch {
            return .refused(error)
        }
    }
}

/// Runs a route's authentication: decides what can be decided at once, asks workers, keeps their answers for a moment.
package struct Authenticator: Sendable {
    private let authentication: Authentication
    private let ask: AskWorker
    private let now: @Sendable () -> Int64
    private let cache: IdentityCache?

    /// - Parameters:
    ///   - ask: asks the worker pool; used by `worker` only.
    ///   - now: seconds since 1970.
    package init(_ authentication: Authentication, ask: @escaping AskWorker, now: @escaping @Sendable () -> Int64) {
        self.authentication = authentication
        self.ask = ask
        self.now = now
        if case .worker(let worker) = authentication, worker.cacheSeconds > 0 {
            self.cache = IdentityCache(seconds: worker.cacheSeconds, capacity: worker.cacheCapacity)
        } else {
            self.cache = nil
        }
    }

    /// Who is on the connection. The result is there at once, unless a worker or a token has to be waited for.
    ///
    /// - Returns: a future on `eventLoop`; it fails with a `Refusal` and nothing else.
    package func identify(_ handshake: Handshake, on eventLoop: any EventLoop) -> EventLoopFuture<Identity> {
        switch self.authentication.begin(handshake, now: self.now()) {
        case .identified(let identity):
            return eventLoop.makeSucceededFuture(identity)
        case .refused(let refusal):
            return eventLoop.makeFailedFuture(refusal)
        case .verify(let token, let jwt):
            let now = self.now
            return eventLoop.makeFutureWithTask { try await jwt.identity(of: token, now: now()) }
        case .ask(let request, let worker):
            return self.identify(request, worker, on: eventLoop)
        }
    }

    private func identify(
        _ request: AskRequest, _ worker: WorkerAuthentication, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Identity> {
        let key = self.cache.map { _ in IdentityCache.Key(request) }
        if let key, let known = self.cache?.identity(for: key, now: self.now()) {
            return eventLoop.makeSucceededFuture(known)
        }
        let (cache, now) = (self.cache, self.now)
        return self.ask(request, eventLoop).hop(to: eventLoop)
            .flatMapErrorThrowing { error in
                throw Refusal(.authenticationUnavailable, "no answer from the workers to \(worker.path.text): \(error)")
            }
            .flatMapThrowing { answer in
                let identity = try worker.identity(from: answer)
                if let key { cache?.keep(identity, for: key, now: now()) }
                return identity
            }
    }
}
