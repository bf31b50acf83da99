import HTTP1
import JWTKit
import Logging
import NIOCore
import NIOPosix
import Testing
import Upstream
import Workers

@testable import Gateway

/// An application that knows its visitors by a cookie, and answers what they say.
private struct Site: SynchronousApplication {
    func respond(to request: Workers.WorkerRequest) -> WorkerResponse {
        if request.path == "/say" {
            let from = request.fields["X-Forwarded-For"] ?? ""
            return .text("\(request.method) \(from): \(String(buffer: request.body))")
        }
        return switch Cookies(request.fields)["sessionid"] {
        case "ann": .json(#"{"user": "7", "groups": ["staff"], "claims": {"team": "red"}}"#)
        case "nobody": .json("{}")
        case "broken": .text("<html>")
        case "failing": .text("", status: 500)
        default: .text("who?", status: 401)
        }
    }
}

private struct Claims: JWTPayload {
    var sub = "7"
    func verify(using algorithm: some JWTAlgorithm) async throws {}
}

/// Who is on a connection, found out over real sockets.
@Suite(.timeLimit(.minutes(1))) struct AuthenticationLiveTests {
    /// Runs `body` against a gateway whose only route follows `updates-{user}` and asks as `authentication` says, beside a
    /// worker server.
    private func with(
        _ authentication: Authentication, anonymousUser: String? = nil, receive: ReceiveRule = .drop,
        _ body: (LiveGateway, WorkerServer) async throws -> Void
    ) async throws {
        var configuration = WorkersConfiguration()
        configuration.listen = .tcp(host: "127.0.0.1", port: 0)
        let workers = try WorkerServer(
            Site(), configuration: configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await workers.start()
        let port = workers.boundAddress?.port ?? 0
        let outcome: Result<Void, any Error>
        do {
            try await withGateway {
                $0.trustedProxies = ["127.0.0.1"]
                $0.routes = [
                    try LiveGateway.route("/channels/updates/", groups: ["updates-{user}"], authentication) {
                        $0.anonymousUser = anonymousUser
                        $0.receive = receive
                    }
                ]
            } ask: { group in
                let upstream = UpstreamConfiguration(addresses: [.tcp(host: "127.0.0.1", port: port)])
                let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
                return UpstreamClient(upstream, group: group, logger: logger)
                    .asking(timeout: .seconds(10), limit: 65_536)
            } _: { gateway in
                try await body(gateway, workers)
            }
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        await workers.drain(within: .milliseconds(100))
        try outcome.get()
    }

    /// The status of an upgrade, and for a 101 the browser.
    private func status(
        _ gateway: LiveGateway, _ fields: String, query: String = "", from address: String? = nil
    ) async throws -> (status: Int, browser: LiveBrowser) {
        let (browser, head) = try await gateway.upgrade("/channels/updates/" + query, fields, from: address)
        return (Int(head.dropFirst(9).prefix(3)) ?? 0, browser)
    }

    private static let worker: Authentication = {
        // Constant, and tested to be a template.
        guard let path = try? Template("/accounts/whoami", captures: []) else { return .anonymous }
        return .worker(WorkerAuthentication(path: path))
    }()

    // MARK: worker

    @Test func theApplicationsCookieDecidesWhoHearsWhat() async throws {
        try await self.with(Self.worker, anonymousUser: "nobody") { gateway, _ in
            let (status, ann) = try await self.status(gateway, "Cookie: sessionid=ann\r\n")
            let (other, nobody) = try await self.status(gateway, "Cookie: sessionid=nobody\r\n")
            #expect(status == 101 && other == 101)
            for (number, group) in ["updates-7", "staff", "updates-nobody"].enumerated() {
                try await gateway.publish("\(number)", to: group)
            }
            #expect(try await ann.nextText() == "0")
            #expect(try await ann.nextText() == "1")
            #expect(try await nobody.nextText() == "2")
            let users = gateway.server.context.census
            #expect(users == GatewayCensus(connections: 2, users: 1, groups: 3, subscriptions: 3))
        }
    }

    @Test(arguments: [
        ("", 403), ("Cookie: sessionid=x\r\n", 403), ("Cookie: sessionid=broken\r\n", 503),
        ("Cookie: sessionid=failing\r\n", 503),
    ])
    func whatTheApplicationDoesNotConfirmIsRefused(_ fields: String, _ expected: Int) async throws {
        try await self.with(Self.worker) { gateway, _ in
            let (status, _) = try await self.status(gateway, fields)
            #expect(status == expected)
        }
    }

    @Test func withoutAWorkerBrowsersAreAskedToComeBack() async throws {
        try await self.with(Self.worker) { gateway, workers in
            await workers.drain(within: .zero)
            let (status, _) = try await self.status(gateway, "Cookie: sessionid=ann\r\n")
            #expect(status == 503)
            #expect(
                gateway.metric("carillon_gateway_refusals_total{reason=\"authentication_unavailable\"}") == 1)
        }
    }

    @Test func whatABrowserSaysIsAnsweredByTheWorker() async throws {
        let say = ReceiveRule.worker(try Template("/say", captures: []))
        try await self.with(Self.worker, receive: say) { gateway, _ in
            let fields = "Cookie: sessionid=ann\r\nX-Forwarded-For: 192.0.2.9\r\n"
            let (_, browser) = try await self.status(gateway, fields)
            try await browser.send(clientFrame(1, Array("hello".utf8)))
            #expect(try await browser.nextText() == "POST 192.0.2.9: hello")
        }
    }

    // MARK: Tokens and cookies that are checked here

    @Test func aTokenIsTakenFromEachOfItsPlaces() async throws {
        let secret = String(repeating: "s", count: 32)
        let jwt = TokenAuthentication(
            keys: [try TokenKey(algorithm: "HS256", secret)], source: TokenSource(query: "token"))
        let keys = JWTKeyCollection()
        await keys.add(hmac: HMACKey(from: secret), digestAlgorithm: .sha256)
        let token = try await keys.sign(Claims())
        try await self.with(.jwt(jwt)) { gateway, _ in
            for (fields, query) in [
                ("Authorization: Bearer \(token)\r\n", ""), ("Sec-WebSocket-Protocol: carillon.token.\(token)\r\n", ""),
                ("", "?token=\(token)"),
            ] {
                let (status, browser) = try await self.status(gateway, fields, query: query)
                #expect(status == 101)
                try await gateway.publish("1", to: "updates-7")
                #expect(try await browser.nextText() == "1")
            }
            #expect(try await self.status(gateway, "").status == 403)
            #expect(try await self.status(gateway, "", query: "?token=\(token)x").status == 403)
        }
    }

    @Test func aTicketOfDjangoNamesItsUser() async throws {
        let vectors = try DjangoVectors.read()
        let ticket = vectors.timestamp_signer
        let authentication = DjangoTicket(
            secrets: [vectors.secret_key], salt: ticket.salt, maxAge: 1 << 40, source: TokenSource(query: "ticket"))
        try await self.with(.djangoTicket(authentication)) { gateway, _ in
            let (status, browser) = try await self.status(gateway, "", query: "?ticket=\(ticket.signed)")
            #expect(status == 101)
            try await gateway.publish("1", to: "updates-7")
            #expect(try await browser.nextText() == "1")
            #expect(try await self.status(gateway, "", query: "?ticket=8\(ticket.signed.dropFirst())").status == 403)
            #expect(try await self.status(gateway, "").status == 403)
        }
        let strict = DjangoTicket(
            secrets: [vectors.secret_key], salt: ticket.salt, maxAge: 60, source: TokenSource(query: "ticket"))
        try await self.with(.djangoTicket(strict)) { gateway, _ in
            let (status, _) = try await self.status(gateway, "", query: "?ticket=\(ticket.signed)")
            #expect(status == 403, "too old")
        }
    }

    @Test func aSessionOfDjangoNamesItsUser() async throws {
        let vectors = try DjangoVectors.read()
        let authentication = DjangoSession(secrets: [vectors.secret_key], maxAge: 1 << 40)
        try await self.with(.djangoSession(authentication), anonymousUser: "nobody") { gateway, _ in
            let (_, seven) = try await self.status(gateway, "Cookie: a=b; sessionid=\(vectors.signed_cookie_value)\r\n")
            let (_, nobody) = try await self.status(gateway, "Cookie: sessionid=\(vectors.signed_cookie_value)x\r\n")
            try await gateway.publish("1", to: "updates-7")
            try await gateway.publish("2", to: "updates-nobody")
            #expect(try await seven.nextText() == "1")
            #expect(try await nobody.nextText() == "2")
        }
    }

    @Test func aHeaderNamesTheUserOnlyWhenATrustedProxySetsIt() async throws {
        try await self.with(.proxyHeader(ProxyHeader(name: "X-Remote-User"))) { gateway, _ in
            let (status, browser) = try await self.status(gateway, "X-Remote-User: ann\r\n")
            #expect(status == 101)
            try await gateway.publish("1", to: "updates-ann")
            #expect(try await browser.nextText() == "1")
            #expect(try await self.status(gateway, "X-Remote-User: ann\r\n", from: "127.0.0.2").status == 403)
            #expect(try await self.status(gateway, "X-Remote-User: ann\r\nX-Remote-User: bob\r\n").status == 403)
        }
    }
}

/// Which pages may connect, on real sockets.
@Suite(.timeLimit(.minutes(1))) struct OriginLiveTests {
    @Test(arguments: [
        ("Origin: http://site.example\r\n", 101, 403, 101),
        ("Origin: https://site.example\r\n", 101, 403, 101),
        ("Origin: http://site.example:8080\r\n", 403, 403, 403),
        ("Origin: https://page.example\r\n", 403, 101, 403),
        ("Origin: null\r\n", 403, 403, 403),
        ("", 101, 101, 101),
        ("Cookie: a=b\r\n", 101, 403, 101),
        // Of a proxy that is not trusted this means nothing.
        ("Origin: https://page.example\r\nX-Forwarded-Host: page.example\r\n", 403, 101, 101),
    ])
    func aListStandsAlone(_ fields: String, _ byDefault: Int, _ listed: Int, _ behindProxy: Int) async throws {
        let cases: [(origins: [String], proxies: [String], status: Int)] = [
            (["self"], [], byDefault), (["https://page.example"], [], listed), (["self"], ["127.0.0.1"], behindProxy),
        ]
        for (origins, proxies, status) in cases {
            try await withGateway {
                $0.allowedOrigins = origins
                $0.trustedProxies = proxies
            } _: { gateway in
                let head = try await gateway.upgrade("/channels/groups/a", fields, host: "site.example").head
                #expect(head.hasPrefix("HTTP/1.1 \(status) "), "\(origins) \(proxies)")
            }
        }
    }

    @Test func aRoutesListCountsInsteadOfTheGateways() async throws {
        try await withGateway {
            $0.allowedOrigins = ["https://page.example"]
            $0.routes = [
                try LiveGateway.route("/channels/own") { $0.origins = .sameHost },
                try LiveGateway.route("/channels/any"),
            ]
        } _: { gateway in
            let page = "Origin: https://page.example\r\n"
            let (_, own) = try await gateway.upgrade("/channels/own", page)
            let (_, any) = try await gateway.upgrade("/channels/any", page)
            #expect(own.hasPrefix("HTTP/1.1 403 ") && any.hasPrefix("HTTP/1.1 101 "))
        }
    }
}
