import ChannelLayer
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import Gateway

private let handshakeFields = [
    ("Host", "example.org"), ("Cookie", "sessionid=abc"), ("Cookie", "b=2"), ("Authorization", "Basic eA=="),
    ("Origin", "https://example.org"), ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Connection", "Upgrade"), ("Upgrade", "websocket"),
]

@Suite struct WorkerAuthenticationTests {
    func worker(_ path: String = "/accounts/whoami") throws -> WorkerAuthentication {
        WorkerAuthentication(path: try Template(path, captures: ["room"]))
    }

    func identity(_ status: Int, _ body: String, _ change: (inout WorkerAuthentication) -> Void = { _ in }) throws
        -> Identity
    {
        var worker = try self.worker()
        change(&worker)
        return try worker.identity(from: AskAnswer(status: status, body: ByteBuffer(string: body)))
    }

    @Test func theQuestionLooksAsIfTheBrowserAsked() throws {
        let handshake = Handshake.with(handshakeFields, target: "/channels/rooms/a?x=1", captures: ["a b"])
        guard
            case .ask(let request, _) = Authentication.worker(try self.worker("/who?room={room}&x={query.x}")).begin(
                handshake, now: 0)
        else {
            Issue.record("nobody is asked")
            return
        }
        let fields = request.head.fields
        #expect(request.head.method == "GET" && request.head.target == "/who?room=a%20b&x=1")
        #expect(fields["Host"] == "example.org" && fields["Authorization"] == "Basic eA==")
        #expect(fields.values("Cookie") == ["sessionid=abc; b=2"])
        #expect(fields["Origin"] == "https://example.org" && fields["X-Original-URI"] == "/channels/rooms/a?x=1")
        #expect(fields.values("X-Forwarded-For") == ["192.0.2.1"], "what a stranger claims is not passed on")
        #expect(fields["X-Forwarded-Proto"] == nil)
        for name in ["Upgrade", "Connection", "Sec-WebSocket-Key"] { #expect(fields[name] == nil) }
        let behind = AskRequest("GET", "/who", for: .with(handshakeFields, throughProxy: true))
        #expect(behind.head.fields["X-Forwarded-Proto"] == "https")
    }

    @Test func anAnswerNamesUserGroupsAndClaims() throws {
        let body =
            #"{"user": "7", "groups": ["staff", "team.red"], "claims": {"team": "red", "n": 3, "ok": true, "deep": {}}}"#
        let identity = try self.identity(200, body)
        #expect(identity.user == "7")
        #expect(identity.groups == [try GroupName("staff"), try GroupName("team.red")])
        #expect(identity.claims == ["team": "red", "n": "3", "ok": "true"])
        #expect(try self.identity(200, #"{"user": 7}"#).user == "7")
    }

    @Test(arguments: [
        "{}", #"{"user": null}"#, #"{"user": ""}"#, #"{"user": null, "groups": null, "claims": null}"#,
        #"{"user": {}}"#,
    ])
    func aWorkerCanNameNobody(_ body: String) throws {
        #expect(try self.identity(200, body) == .anonymous)
    }

    @Test func anApplicationsOwnAnswerCanBeRead() throws {
        func identity(_ body: String) throws -> String? {
            try self.identity(200, body) {
                $0.userKey = "userid"
                $0.anonymousIf = ["username": "AnonymousUser"]
            }.user
        }
        #expect(try identity(#"{"userid": 7, "username": "ann", "domain": [1], "userprofile": {"a": 1}}"#) == "7")
        #expect(try identity(#"{"userid": 1, "username": "AnonymousUser"}"#) == nil)
    }

    @Test(arguments: [204, 401, 403])
    func aWorkerRefuses(_ status: Int) {
        let refusal = refusal { _ = try self.identity(status, "") }
        #expect(refusal?.reason == .unauthenticated && refusal?.status == 403)
    }

    @Test(arguments: [
        (500, ""), (503, ""), (404, ""), (302, ""), (200, ""), (200, "<html>"), (200, "[]"), (200, #"{"groups": "a"}"#),
        (200, #"{"groups": [1]}"#), (200, #"{"claims": []}"#), (200, String(repeating: "[", count: 100)),
    ])
    func anAnswerThatDecidesNothingAsksToComeBack(_ status: Int, _ body: String) {
        let refusal = refusal { _ = try self.identity(status, body) }
        #expect(refusal?.reason == .authenticationUnavailable && refusal?.status == 503)
    }
}

@Suite struct AuthenticatorTests {
    /// Answers as it is told and counts the questions.
    final class Worker: Sendable {
        let questions = Mutex(0)
        let status: Int

        init(_ status: Int) { self.status = status }

        struct TooSlow: Error {}

        func ask(_ request: AskRequest, on eventLoop: any EventLoop) -> EventLoopFuture<AskAnswer> {
            self.questions.withLock { $0 += 1 }
            guard self.status > 0 else { return eventLoop.makeFailedFuture(TooSlow()) }
            return eventLoop.makeSucceededFuture(
                AskAnswer(status: self.status, body: ByteBuffer(string: #"{"user": "7"}"#)))
        }
    }

    func run(cacheSeconds: Int64, status: Int = 200, _ steps: [(cookie: String, time: Int64)]) throws -> (
        users: [String?], asked: Int
    ) {
        var authentication = WorkerAuthentication(path: try Template("/who", captures: []))
        authentication.cacheSeconds = cacheSeconds
        let worker = Worker(status)
        let time = Mutex<Int64>(0)
        return try withExtendedLifetime(time) {
            let clock = Clock()
            let authenticator = Authenticator(.worker(authentication), ask: worker.ask, now: { clock.now })
            let loop = EmbeddedEventLoop()
            let users = try steps.map { step in
                clock.now = step.time
                return try authenticator.identify(.with([("Cookie", step.cookie)]), on: loop).wait().user
            }
            return (users, worker.questions.withLock { $0 })
        }
    }

    final class Clock: Sendable {
        private let value = Mutex<Int64>(0)
        var now: Int64 {
            get { self.value.withLock { $0 } }
            set { self.value.withLock { $0 = newValue } }
        }
    }

    @Test func everyConnectionIsAskedForByDefault() throws {
        #expect(try self.run(cacheSeconds: 0, [("a", 0), ("a", 0)]).asked == 2)
    }

    @Test func anAnswerCountsForItsSecondsAndCredentials() throws {
        let outcome = try self.run(cacheSeconds: 5, [("a", 0), ("a", 4), ("b", 4), ("a", 5), ("a", 6)])
        #expect(outcome.users == ["7", "7", "7", "7", "7"])
        #expect(outcome.asked == 3)
    }

    @Test func noAnswerAsksToComeBack() {
        #expect(
            refusal { _ = try self.run(cacheSeconds: 5, status: -1, [("a", 0)]) }?.reason == .authenticationUnavailable)
        #expect(refusal { _ = try self.run(cacheSeconds: 5, status: 403, [("a", 0)]) }?.reason == .unauthenticated)
    }

    @Test func theCacheForgetsWhatIsOld() {
        let cache = IdentityCache(seconds: 5, capacity: 10)
        func key(_ number: Int) -> IdentityCache.Key { .init(AskRequest("GET", "/\(number)", for: .with())) }
        for number in 0..<1_000 { cache.keep(.anonymous, for: key(number), now: 0) }
        #expect(cache.count <= 20)
        #expect(cache.identity(for: key(999), now: 0) != nil && cache.identity(for: key(0), now: 0) == nil)
    }
}

@Suite struct LocalAuthenticationTests {
    let vectors: DjangoVectors

    init() throws { self.vectors = try DjangoVectors.read() }

    func outcome(_ authentication: Authentication, _ handshake: Handshake, now: Int64? = nil) -> String {
        switch authentication.begin(handshake, now: now ?? self.vectors.now) {
        case .identified(let identity): identity.user.map { "user \($0)" } ?? "anonymous"
        case .refused(let refusal): refusal.reason.rawValue
        case .ask: "ask"
        case .verify: "verify"
        }
    }

    func ticket(isOptional: Bool = false) -> Authentication {
        .djangoTicket(
            DjangoTicket(
                secrets: [self.vectors.secret_key], salt: "ws-ticket", maxAge: 60, source: TokenSource(query: "ticket"),
                isOptional: isOptional))
    }

    @Test func everybodyIsAnonymousWhereNobodyIsAsked() {
        #expect(self.outcome(.anonymous, .with()) == "anonymous")
    }

    @Test func aTicketIsFoundInThreePlaces() {
        let signed = self.vectors.timestamp_signer.signed
        let escaped = signed.replacing(":", with: "%3A")
        #expect(self.outcome(self.ticket(), .with(target: "/x?ticket=\(signed)")) == "user 7")
        #expect(self.outcome(self.ticket(), .with(target: "/x?a=b&ticket=\(escaped)")) == "user 7")
        #expect(self.outcome(self.ticket(), .with([("Authorization", "bearer \(signed)")])) == "user 7")
        #expect(
            self.outcome(self.ticket(), .with([("Sec-WebSocket-Protocol", "a, carillon.token.\(escaped)")])) == "user 7"
        )
    }

    @Test func aTicketThatDoesNotCountIsRefused() {
        let target = "/x?ticket=\(self.vectors.timestamp_signer.signed)"
        #expect(self.outcome(self.ticket(), .with(target: target), now: self.vectors.now + 61) == "bad_credentials")
        #expect(self.outcome(self.ticket(isOptional: true), .with(target: target + "x")) == "bad_credentials")
        #expect(self.outcome(self.ticket(), .with()) == "unauthenticated")
        #expect(self.outcome(self.ticket(isOptional: true), .with()) == "anonymous")
    }

    @Test func aSignedCookieSessionIsRead() {
        let session = Authentication.djangoSession(DjangoSession(secrets: [self.vectors.secret_key], cookie: "sid"))
        let cookie = self.vectors.signed_cookie_value
        #expect(self.outcome(session, .with([("Cookie", "a=b; sid=\(cookie)")])) == "user 7")
        #expect(self.outcome(session, .with([("Cookie", "sid=\(cookie)x")])) == "anonymous")
        #expect(
            self.outcome(session, .with([("Cookie", "sid=\(cookie)")]), now: self.vectors.now + 1_209_601)
                == "anonymous")
        #expect(
            self.outcome(session, .with([("Cookie", "sid=\(self.vectors.db_session_data)")])) == "anonymous",
            "another salt")
        #expect(self.outcome(session, .with()) == "anonymous")
    }

    @Test func aProxysHeaderIsBelievedFromTheProxyOnly() {
        let header = Authentication.proxyHeader(ProxyHeader(name: "X-Remote-User"))
        let optional = Authentication.proxyHeader(ProxyHeader(name: "X-Remote-User", isOptional: true))
        let fields = [("x-remote-user", "ann")]
        #expect(self.outcome(header, .with(fields, throughProxy: true)) == "user ann")
        #expect(self.outcome(header, .with(fields)) == "unauthenticated")
        #expect(self.outcome(optional, .with(fields)) == "anonymous")
        #expect(self.outcome(optional, .with(throughProxy: true)) == "anonymous")
        #expect(self.outcome(header, .with(fields + fields, throughProxy: true)) == "bad_credentials")
        #expect(self.outcome(header, .with([("X-Remote-User", "")], throughProxy: true)) == "unauthenticated")
    }
}
