import Foundation
import NIOCore
import NIOSSL
import Synchronization
import TestSupport
import Testing

@testable import Router
@testable import Upstream

/// TLS towards browsers, and towards upstreams.
@Suite(.timeLimit(.minutes(1))) struct TLSTests {
    private struct Site: Sendable {
        var authority: TestAuthority
        var settings: RouterConfiguration
        var folder: URL
    }

    /// A router's settings with a certificate for `example.org`, and one for `intern.example.org` that asks for
    /// certificates.
    private func withSite(_ upstreams: [UpstreamAddress], _ body: (inout Site) async throws -> Void) async throws {
        try await withTestFolder { folder in
            let authority = try TestAuthority("authority", in: folder)
            let people = try TestAuthority("people", in: folder)
            let plain = try authority.issue("example.org", hosts: ["example.org", "*.example.org"])
            let intern = try authority.issue("intern.example.org", hosts: ["intern.example.org"])
            var settings = configuration(upstreams)
            settings.secureListen = [.tcp(host: "127.0.0.1", port: 0)]
            settings.tls.identities = [
                .init(certificate: plain.certificate, key: plain.key),
                .init(certificate: intern.certificate, key: intern.key, clientAuthorities: people.file),
            ]
            settings.routes = [
                Route(path: "/secret/", target: .pool(PoolNumber.workers), clientCertificate: .required)
            ]
            var site = Site(authority: authority, settings: settings, folder: folder)
            try await body(&site)
        }
    }

    private static func port(_ router: RunningRouter) throws -> Int {
        guard case .tcp(_, let port)? = router.router.secureAddresses.first else {
            throw Socket.Failure(description: "no TLS address")
        }
        return port
    }

    private static func ask(_ door: SecureDoor, _ path: String, host: String = "example.org", _ more: String = "")
        throws
        -> Message
    {
        let browser = try door.connect()
        try browser.send("GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\(more)\r\n")
        return try browser.readMessage()
    }

    /// An upstream that sends back the head of what it was asked.
    private static func mirror() throws -> FakeUpstream { try FakeUpstream.answering { ok($0.head) } }

    @Test func requestsComeThroughTLSAndSaySo() async throws {
        let upstream = try Self.mirror()
        try await self.withSite([upstream.address]) { site in
            let authority = site.authority.file
            try await withRouter(site.settings) { router throws in
                let door = try SecureDoor(to: try Self.port(router), authority: authority)
                let browser = try door.connect()
                for _ in 0..<3 {
                    try browser.send("GET / HTTP/1.1\r\nHost: example.org\r\nX-SSL-Client-S-DN: CN=admin\r\n\r\n")
                    let seen = Message(head: try browser.readMessage().body)
                    #expect(seen["x-forwarded-proto"] == "https")
                    #expect(seen["forwarded"] == "for=127.0.0.1;proto=https;host=example.org")
                    #expect(seen["x-ssl-client-verify"] == "NONE" && seen["x-ssl-client-s-dn"] == nil)
                }
                // Nobody speaks plainly there, and nobody speaks TLS elsewhere.
                let plain = try Socket.connect(port: try Self.port(router))
                try plain.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(((try? plain.readToEnd()) ?? "").contains("HTTP/1.1 200") == false)
                #expect(try router.get("/").status == 200)
            }
        }
    }

    @Test func largeBodiesPassBothWaysAndABrowserMayCloseItsHalf() async throws {
        let upstream = try FakeUpstream.answering { ok($0.body) }
        try await self.withSite([upstream.address]) { site in
            let authority = site.authority.file
            try await withRouter(site.settings) { router throws in
                let door = try SecureDoor(to: try Self.port(router), authority: authority)
                let browser = try door.connect()
                let body = String(repeating: "0123456789", count: 100_000)
                try browser.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
                #expect(try browser.readMessage().body == body)
                try browser.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                #expect(try browser.readMessage().status == 200)
                #expect(browser.ends())
            }
        }
    }

    @Test func theCertificateIsThatOfTheHost() async throws {
        let upstream = try Self.mirror()
        try await self.withSite([upstream.address]) { site in
            let authority = site.authority.file
            try await withRouter(site.settings) { router throws in
                let port = try Self.port(router)
                // Full verification: each answers only when its certificate names the host.
                for host in ["example.org", "a.example.org", "intern.example.org"] {
                    let door = try SecureDoor(to: port, host: host, authority: authority)
                    #expect(try Self.ask(door, "/", host: host).status == 200)
                }
                let other = try SecureDoor(to: port, host: "a.b.example.org", authority: authority)
                #expect(throws: (any Error).self) { try Self.ask(other, "/") }
                // Without a name the first one is shown.
                let nameless = try SecureDoor(to: port, host: nil, authority: authority)
                #expect(try Self.ask(nameless, "/").status == 200)
            }
        }
    }

    // MARK: Client certificates

    @Test func aClientCertificateIsToldOfAndCannotBeForged() async throws {
        let upstream = try Self.mirror()
        try await self.withSite([upstream.address]) { site in
            let client = try TestAuthority("people", in: site.folder)
            site.settings.tls.identities[1].clientAuthorities = client.file
            let person = try client.issue("Ada, \"the\" Countess")
            let authority = site.authority.file
            try await withRouter(site.settings) { router throws in
                let port = try Self.port(router)
                let host = "intern.example.org"
                let door = try SecureDoor(to: port, host: host, authority: authority, identity: person)
                let answer = try Self.ask(
                    door, "/secret/x", host: host,
                    "X-SSL-Client-CN: root\r\nx_ssl_client_s_dn: CN=root\r\nClient-Cert: :AAAA:\r\n")
                let seen = Message(head: answer.body)
                #expect(seen["x-ssl-client-verify"] == "SUCCESS")
                #expect(seen.values("x-ssl-client-cn") == ["Ada, \"the\" Countess"])
                #expect(
                    seen["x-ssl-client-s-dn"]?.hasPrefix("CN=Ada\\, \\\"the\\\" Countess,O=Lab\\, Org,C=XX") == true)
                #expect(seen["x-ssl-client-i-dn"] == "CN=people" && seen["x_ssl_client_s_dn"] == nil)
                let der = try NIOSSLCertificate.fromPEMFile(person.certificate)[0].toDERBytes()
                #expect(seen.values("client-cert") == [":\(Data(der).base64EncodedString()):"])
                #expect(seen["x-ssl-client-fingerprint"]?.count == 64)

                let without = try SecureDoor(to: port, host: host, authority: authority)
                #expect(try Self.ask(without, "/secret/x", host: host).status == 403)
                #expect(try Self.ask(without, "/", host: host).status == 200)
            }
        }
    }

    @Test func aCertificateOfStrangersIsNotTaken() async throws {
        let upstream = try Self.mirror()
        try await self.withSite([upstream.address]) { site in
            let strangers = try TestAuthority("strangers", in: site.folder)
            let people = try TestAuthority("people", in: site.folder)
            let identities = [try strangers.issue("admin"), try people.issue("late", days: -2...(-1))]
            let authority = site.authority.file
            try await withRouter(site.settings) { router throws in
                for identity in identities {
                    let door = try SecureDoor(
                        to: try Self.port(router), host: "intern.example.org", authority: authority, identity: identity)
                    #expect(throws: (any Error).self) { try Self.ask(door, "/", host: "intern.example.org") }
                }
            }
        }
    }

    @Test func aRequestForAnotherHostsCertificateIsMisdirected() async throws {
        let upstream = try Self.mirror()
        try await self.withSite([upstream.address]) { site in
            let authority = site.authority.file
            try await withRouter(site.settings) { router throws in
                let port = try Self.port(router)
                // Who was let in for one host is nobody for the other, both ways round.
                let plain = try SecureDoor(to: port, authority: authority)
                #expect(try Self.ask(plain, "/", host: "intern.example.org").status == 421)
                let intern = try SecureDoor(to: port, host: "intern.example.org", authority: authority)
                #expect(try Self.ask(intern, "/", host: "example.org").status == 421)
            }
        }
    }

    @Test func aTrustedProxyMayVouchForABrowser() async throws {
        let upstream = try Self.mirror()
        try await self.withSite([upstream.address]) { site in
            site.settings.trustedProxies = try .init(["127.0.0.1"])
            try await withRouter(site.settings) { router throws in
                #expect(try router.get("/secret/", "X-SSL-Client-Verify: SUCCESS\r\n").status == 200)
                #expect(try router.get("/secret/", "X-SSL-Client-Verify: NONE\r\n").status == 403)
            }
            site.settings.trustedProxies = .none
            try await withRouter(site.settings) { router throws in
                #expect(try router.get("/secret/", "X-SSL-Client-Verify: SUCCESS\r\n").status == 403)
            }
        }
    }

    // MARK: Files

    @Test func newCertificatesAreForNewConnectionsOnly() async throws {
        let upstream = try Self.mirror()
        try await self.withSite([upstream.address]) { site in
            let (authority, settings) = (site.authority, site.settings)
            let new = try TestAuthority("new", in: site.folder)
            try await withRouter(settings) { router throws in
                let port = try Self.port(router)
                let old = try SecureDoor(to: port, authority: authority.file)
                let browser = try old.connect()
                try browser.send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
                #expect(try browser.readMessage().status == 200)

                _ = try new.issue("example.org", hosts: ["example.org"])
                try router.router.reload(settings)
                try browser.send("GET /again HTTP/1.1\r\nHost: example.org\r\n\r\n")
                #expect(try browser.readMessage().status == 200)
                #expect(throws: (any Error).self) { try Self.ask(old, "/") }
                let fresh = try SecureDoor(to: port, authority: new.file)
                #expect(try Self.ask(fresh, "/").status == 200)

                // What cannot be used changes nothing.
                try FileManager.default.removeItem(atPath: settings.tls.identities[0].key)
                #expect(throws: RouterFileError.self) { try router.router.reload(settings) }
                #expect(try Self.ask(fresh, "/").status == 200)
            }
        }
    }

    @Test func filesThatCannotBeUsedAreToldOneAndAll() async throws {
        try await withTestFolder { folder in
            let authority = try TestAuthority("authority", in: folder)
            let (good, other) = (try authority.issue("a", hosts: ["a"]), try authority.issue("b", hosts: ["b"]))
            let late = try authority.issue("c", hosts: ["c"], days: -9...(-3.5))
            var tls = RouterTLS()
            tls.identities = [
                .init(certificate: good.certificate, key: other.key),
                .init(certificate: "/nowhere.pem", key: good.key),
                .init(certificate: good.key, key: good.certificate),
                .init(certificate: late.certificate, key: late.key, clientAuthorities: "/none.pem"),
            ]
            let error = #expect(throws: RouterFileError.self) { try TLSContexts(tls) }
            let text = try #require(error?.description)
            #expect(text.contains("\(other.key) is not the key of \(good.certificate)"))
            #expect(text.contains("/nowhere.pem cannot be read: No such file or directory"))
            #expect(text.contains("has no certificate") && text.contains("has no private key"))
            #expect(text.contains("/none.pem cannot be read"))
            tls.identities = [.init(certificate: late.certificate, key: late.key)]
            #expect(try TLSContexts(tls).warnings.first?.contains("out of date for 3 days") == true)
        }
    }

    // MARK: Upstreams

    @Test(arguments: [true, false]) func upstreamsProveWhoTheyAre(_ isBelieved: Bool) async throws {
        let upstream = try Self.mirror()
        try await self.withSite([upstream.address]) { site in
            // The first router is the second one's upstream.
            let authority = isBelieved ? site.authority : try TestAuthority("strangers", in: site.folder)
            let inner = site.settings
            try await withRouter(inner) { router throws in
                var tls = UpstreamTLS.Options()
                tls.authorities = authority.file
                tls.serverName = "example.org"
                var outer = configuration([.tls(host: "127.0.0.1", port: try Self.port(router))])
                outer.workers.tls = UpstreamTLS(tls)
                let done = DispatchSemaphore(value: 0)
                let result = Mutex<Result<Int, any Error>?>(nil)
                let settings = outer
                Task {
                    do {
                        try await withRouter(settings) { outer throws in
                            let status = try outer.get("/").status
                            result.withLock { $0 = .success(status) }
                        }
                    } catch { result.withLock { $0 = .failure(error) } }
                    done.signal()
                }
                done.wait()
                #expect(try result.withLock { try $0?.get() } == (isBelieved ? 200 : 502))
            }
        }
    }
}
