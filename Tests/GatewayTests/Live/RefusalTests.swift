import ChannelLayer
import HTTP1
import NIOCore
import NIOPosix
import Testing

@testable import Gateway

/// What those hear who are not let in, and what the operator learns of it.
@Suite(.timeLimit(.minutes(1))) struct RefusalTests {
    /// One kind of refusal: how a gateway is made that refuses, and the request that it refuses.
    struct Case: Sendable, CustomTestStringConvertible {
        let reason: Refusal.Reason
        let status: Int
        let closeCode: UInt16
        var path = "/channels/it"
        var fields = ""
        var authentication: @Sendable () throws -> Authentication = { .anonymous }
        var groups: [String] = []
        var limits = ConnectionLimits()
        var isLoopbackOnly = false
        /// Browsers that are there before.
        var others = 0

        var testDescription: String { self.reason.rawValue }
    }

    static let ticket: @Sendable () throws -> Authentication = {
        .djangoTicket(
            DjangoTicket(secrets: ["s"], salt: "carillon", maxAge: 60, source: TokenSource(query: "ticket")))
    }

    static let cases: [Case] = [
        Case(reason: .origin, status: 403, closeCode: 4503, fields: "Origin: https://evil.example\r\n"),
        Case(reason: .unauthenticated, status: 403, closeCode: 4401, authentication: Self.ticket),
        Case(
            reason: .badCredentials, status: 403, closeCode: 4401, path: "/channels/it?ticket=7:x:y",
            authentication: Self.ticket),
        Case(
            reason: .authenticationUnavailable, status: 503, closeCode: 1013,
            authentication: { .worker(WorkerAuthentication(path: try Template("/who", captures: []))) }),
        Case(reason: .invalidGroup, status: 403, closeCode: 4503, groups: ["room-{query.room}"]),
        Case(
            reason: .notLoopback, status: 403, closeCode: 4503, fields: "X-Real-IP: 192.0.2.1\r\n",
            isLoopbackOnly: true),
        Case(
            reason: .userLimit, status: 429, closeCode: 4429, fields: "X-User: ann\r\n",
            authentication: { .proxyHeader(ProxyHeader(name: "X-User")) }, limits: ConnectionLimits(perUser: 1),
            others: 1),
        Case(reason: .addressLimit, status: 429, closeCode: 4429, limits: ConnectionLimits(perAddress: 2), others: 2),
        Case(reason: .totalLimit, status: 503, closeCode: 1013, limits: ConnectionLimits(total: 1), others: 1),
        Case(reason: .layerUnavailable, status: 503, closeCode: 1013, groups: ["away"]),
    ]

    @Test func everyReasonHasACase() {
        #expect(Set(Self.cases.map(\.reason)) == Set(Refusal.Reason.allCases))
    }

    private func with(
        _ it: Case, refusal: RouteConfiguration.RefusalForm, _ body: (LiveGateway, [LiveBrowser]) async throws -> Void
    ) async throws {
        let layer = BrokenLayer()
        if it.reason == .layerUnavailable { layer.refuseToFollow() }
        try await withGateway(
            {
                $0.trustedProxies = ["127.0.0.1"]
                $0.limits = it.limits
                $0.routes = [
                    try LiveGateway.route("/channels/it", groups: it.groups, try it.authentication()) {
                        $0.isLoopbackOnly = it.isLoopbackOnly
                        $0.refusal = refusal
                    }
                ]
            }, layer: layer
        ) { gateway in
            var others: [LiveBrowser] = []
            for _ in 0..<it.others { others.append(try await gateway.open(it.path, fields: it.fields)) }
            try await body(gateway, others)
        }
    }

    @Test(arguments: Self.cases) func theStatusTheLogAndACounterSayWhy(_ it: Case) async throws {
        try await self.with(it, refusal: .status) { gateway, others in
            let (browser, head) = try await gateway.upgrade(it.path, it.fields, host: "example.org")
            #expect(head.hasPrefix("HTTP/1.1 \(it.status) "))
            #expect(head.contains("\r\nConnection: close\r\n"))
            #expect(head.contains("\r\nRetry-After: ") == (it.status == 503))
            #expect(try await !browser.rest().isEmpty, "a sentence, and then the end")
            let line = await gateway.log.line("Browser refused")
            #expect(line["reason"] == it.reason.rawValue && line["status"] == "\(it.status)")
            #expect(line["target"] == "/channels/it" && line["peer"]?.isEmpty == false)
            #expect(gateway.metric("carillon_gateway_refusals_total{reason=\"\(it.reason.rawValue)\"}") == 1)
            #expect(gateway.metric("carillon_gateway_refusals_total") == 1)
            #expect(gateway.server.context.census.connections == others.count, "a refused one holds no place")
        }
    }

    @Test(arguments: Self.cases) func aRouteCanAcceptThemToCloseThem(_ it: Case) async throws {
        try await self.with(it, refusal: .close) { gateway, _ in
            let browser = try await gateway.open(it.path, fields: it.fields)
            guard case .close(let code, let reason)? = try await browser.next() else {
                Issue.record("no close")
                return
            }
            #expect(code.rawValue == it.closeCode && !reason.isEmpty)
            #expect(gateway.metric("carillon_gateway_handshakes_total") == gateway.server.context.census.connections)
        }
    }

    // MARK: Limits give places back

    @Test func whoLeavesMakesRoom() async throws {
        try await withGateway {
            $0.limits = ConnectionLimits(total: 2, perAddress: 1)
        } _: { gateway in
            let path = "/channels/groups/a"
            let first = try await gateway.open(path)
            #expect(try await gateway.upgrade(path).head.hasPrefix("HTTP/1.1 429 "))
            let (second, head) = try await gateway.upgrade(path, from: "127.0.0.2")
            #expect(head.hasPrefix("HTTP/1.1 101 "))
            #expect(try await gateway.upgrade(path, from: "127.0.0.3").head.hasPrefix("HTTP/1.1 503 "))
            second.close()
            await gateway.log.line("Browser gone")
            let (third, again) = try await gateway.upgrade(path, from: "127.0.0.3")
            #expect(again.hasPrefix("HTTP/1.1 101 "))
            #expect(gateway.metric("carillon_gateway_connections") == 2)
            withExtendedLifetime((first, third)) {}
        }
    }

    @Test func aForwardedAddressIsCountedOnlyFromATrustedProxy() async throws {
        for isTrusted in [true, false] {
            try await withGateway {
                $0.trustedProxies = isTrusted ? ["127.0.0.1"] : ["10.0.0.0/8"]
                $0.limits = ConnectionLimits(perAddress: 1)
            } _: { gateway in
                var statuses: [String] = []
                var browsers: [LiveBrowser] = []
                for number in 1...3 {
                    // What stands left of the proxy's own entry was written by a stranger.
                    let fields = "X-Forwarded-For: 198.51.100.7, 192.0.2.\(number)\r\n"
                    let (browser, head) = try await gateway.upgrade("/channels/groups/a", fields)
                    statuses.append(String(head.dropFirst(9).prefix(3)))
                    browsers.append(browser)
                }
                #expect(statuses == (isTrusted ? ["101", "101", "101"] : ["101", "429", "429"]))
                let peers = gateway.log.lines("Browser connected").map { $0["peer"] }
                #expect(peers == (isTrusted ? ["192.0.2.1", "192.0.2.2", "192.0.2.3"] : ["127.0.0.1"]))
                withExtendedLifetime(browsers) {}
            }
        }
    }

    // MARK: One browser's messages

    @Test func aMessageThatIsTooLongClosesWith1009() async throws {
        try await withGateway {
            $0.session.messageLimit = 1_024
        } _: { gateway in
            let browser = try await gateway.open()
            try await browser.send(clientFrame(1, Array(repeating: 65, count: 1_024)))
            #expect(try await browser.nextText().utf8.count == 1_024)
            // The head alone is enough: nobody waits for bytes that are not wanted.
            try await browser.send(Array(clientFrame(1, Array(repeating: 65, count: 1_025)).prefix(8)))
            #expect(try await browser.next() == .close(.messageTooBig, reason: "message over 1024 bytes"))
            #expect(gateway.metric("carillon_gateway_protocol_errors_total") == 1)
        }
    }

    @Test func whoSaysTooMuchIsClosedWith1008() async throws {
        try await withGateway {
            $0.session.messageRate = RateLimit(perSecond: 1, burst: 3)
        } _: { gateway in
            let (loud, calm) = (try await gateway.open(), try await gateway.open())
            try await loud.send((0..<30).flatMap { _ in clientFrame(1, [65]) })
            var answers = 0
            var last: WebSocketParser.Event?
            while let event = try await loud.next() {
                last = event
                if case .text = event { answers += 1 }
            }
            #expect((3..<30).contains(answers) && last == .close(.policyViolation, reason: "too many messages"))
            #expect(gateway.metric("carillon_gateway_rate_closes_total") == 1)
            #expect(await gateway.log.line("Browser said too much")["peer"] == "127.0.0.1")
            try await calm.send(clientFrame(1, [66]))
            #expect(try await calm.nextText() == "B")
        }
    }

    @Test func pingsCountAsMessages() async throws {
        try await withGateway {
            $0.session.messageRate = RateLimit(perSecond: 1, burst: 3)
        } _: { gateway in
            let browser = try await gateway.open()
            try await browser.send((0..<30).flatMap { _ in clientFrame(9, []) })
            var last: WebSocketParser.Event?
            while let event = try await browser.next() { last = event }
            #expect(last == .close(.policyViolation, reason: "too many messages"))
        }
    }
}
