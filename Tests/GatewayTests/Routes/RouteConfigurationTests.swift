import ChannelLayer
import HTTP1
import Testing

@testable import Gateway

@Suite struct RouteConfigurationTests {
    @Test func aConnectionFollowsEachGroupOnce() throws {
        let path = try PathPattern("/channels/rooms/{room}")
        let route = RouteConfiguration(
            path: path,
            groups: try ["room-{room}", "user-{user}", "room-a"].map { try Template($0, captures: path.captureNames) })
        let identity = Identity(user: "7", groups: [try GroupName("staff"), try GroupName("user-7")])
        let plan = try route.plan(for: .with(captures: ["a"]), identity: identity)
        #expect(plan.groups.map(\.text) == ["room-a", "user-7", "staff"])
        #expect(plan.receiver == .drop)
    }

    @Test func tooManyGroupsRefuseTheConnection() throws {
        let groups = try (0..<101).map { try GroupName("g\($0)") }
        let route = RouteConfiguration(path: try PathPattern("/"))
        #expect(
            try route.plan(for: .with(), identity: Identity(user: nil, groups: Array(groups.dropLast()))).groups.count
                == 100)
        #expect(
            refusal { _ = try route.plan(for: .with(), identity: Identity(user: nil, groups: groups)) }?.reason
                == .invalidGroup)
    }

    @Test func aRoutesOwnOriginsCountInsteadOfTheGateways() throws {
        var route = RouteConfiguration(path: try PathPattern("/"))
        let handshake = Handshake.with([("Host", "own.example"), ("Origin", "https://page.example")])
        #expect(refusal { try route.check(handshake, gatewayOrigins: .sameHost) }?.reason == .origin)
        route.origins = try OriginCheck(allowing: ["page.example"])
        #expect(refusal { try route.check(handshake, gatewayOrigins: .sameHost) } == nil)
    }

    @Test func theEmbeddedRouteIsForThisHostOnly() throws {
        let route = try RouteConfiguration.embedded()
        let table = try RouteTable([route.path])
        #expect(table.match("/channels/groups/news")?.captures == ["news"])
        func refused(_ address: String?, _ fields: [(String, String)], throughProxy: Bool = false) -> Refusal.Reason? {
            let handshake = Handshake(
                head: RequestHead(
                    method: "GET", target: "/channels/groups/news", version: .http11, fields: HeaderFields(fields)),
                kind: .webSocket,
                client: ClientAddress(address: address.flatMap { IPAddress($0) }, isFromTrustedProxy: throughProxy),
                captures: ["news"])
            return refusal {
                try route.check(handshake, gatewayOrigins: .sameHost)
                #expect(try route.plan(for: handshake, identity: .anonymous).groups.map(\.text) == ["news"])
            }?.reason
        }
        for host in ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "app.localhost"] {
            #expect(refused("127.0.0.1", [("Host", host)]) == nil, "\(host)")
        }
        #expect(refused("::1", [("Host", "localhost"), ("Origin", "http://localhost")]) == nil)
        #expect(refused(nil, [("Host", "localhost")]) == nil, "a Unix socket")
        #expect(refused("192.0.2.1", [("Host", "localhost")]) == .notLoopback)
        #expect(refused("127.0.0.1", [("Host", "localhost"), ("X-Forwarded-For", "127.0.0.1")]) == .notLoopback)
        #expect(refused("127.0.0.1", [("Host", "localhost"), ("X-Real-IP", "192.0.2.1")]) == .notLoopback)
        #expect(
            refused("192.0.2.1", [("Host", "localhost"), ("X-Forwarded-For", "192.0.2.1")], throughProxy: true)
                == .notLoopback)
        #expect(
            refused("127.0.0.1", [("Host", "localhost"), ("X-Forwarded-For", "127.0.0.1")], throughProxy: true) == nil)
        #expect(
            refused("127.0.0.1", [("Host", "evil.example"), ("Origin", "http://evil.example")]) == .notLoopback,
            "rebinding")
        #expect(refused("127.0.0.1", []) == .notLoopback)
    }

    @Test func everyRefusalHasAnAnswerThatMayBeSent() {
        for reason in Refusal.Reason.allCases {
            let refusal = Refusal(reason, "")
            #expect([403, 429, 503].contains(refusal.status))
            #expect(CloseValues.maySend(refusal.closeCode))
            #expect(refusal.closeReason.utf8.count <= 123)
        }
    }
}
