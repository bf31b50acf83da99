import Testing

@testable import Gateway

@Suite struct OriginCheckTests {
    func isAllowed(
        _ origin: String?, by entries: [String] = ["self"], host: String = "example.org", more: [(String, String)] = [],
        throughProxy: Bool = false
    ) throws -> Bool {
        let fields = [("Host", host)] + (origin.map { [("Origin", $0)] } ?? []) + more
        let check = try OriginCheck(allowing: entries)
        let refusal = refusal { try check.check(.with(fields, throughProxy: throughProxy)) }
        #expect(refusal == nil || refusal?.reason == .origin && refusal?.status == 403)
        return refusal == nil
    }

    @Test(arguments: [
        ("https://example.org", "example.org", true), ("http://example.org", "example.org", true),
        ("https://EXAMPLE.org", "Example.ORG", true), ("https://example.org", "example.org:443", true),
        ("https://example.org:443", "example.org:443", true), ("http://localhost:8000", "localhost:8000", true),
        ("http://[::1]:8000", "[::1]:8000", true), ("http://[::1]", "[::1]", true),
        ("https://example.org:8443", "example.org", false), ("https://example.org", "example.org:8443", false),
        ("http://example.org", "example.org:443", false), ("https://evil.example", "example.org", false),
        ("https://example.org.evil.example", "example.org", false), ("https://www.example.org", "example.org", false),
        ("null", "example.org", false), ("", "example.org", false), ("https://", "example.org", false),
        ("example.org", "example.org", false), ("https://a@example.org", "example.org", false),
        ("https://example.org", "", false), ("https://example.org:99999", "example.org:99999", false),
    ])
    func byDefaultAPageOfTheSameHostIsLetIn(_ origin: String, _ host: String, _ allowed: Bool) throws {
        #expect(try self.isAllowed(origin, host: host) == allowed)
    }

    @Test func behindATrustedProxyItsHostCounts() throws {
        let forwarded = [("X-Forwarded-Host", "example.org")]
        #expect(try self.isAllowed("https://example.org", host: "127.0.0.1:8001", more: forwarded, throughProxy: true))
        #expect(try !self.isAllowed("https://example.org", host: "127.0.0.1:8001", more: forwarded))
    }

    @Test(arguments: [
        ("example.org", "https://example.org", true), ("example.org", "http://example.org:8080", true),
        ("example.org", "https://www.example.org", false), (".example.org", "https://www.example.org", true),
        (".example.org", "https://example.org", true), (".example.org", "https://badexample.org", false),
        ("https://example.org", "https://example.org", true), ("https://example.org", "https://example.org:443", true),
        ("https://example.org", "http://example.org", false),
        ("https://example.org", "https://example.org:8443", false),
        ("https://.example.org:8443", "https://a.b.example.org:8443", true),
        ("example.org:8080", "http://example.org:8080", true),
        ("example.org:8080", "http://example.org", false), ("HTTPS://Example.org", "https://example.org", true),
        ("*", "https://anything.example", true), ("*", "null", true),
        ("moz-extension://abc", "moz-extension://abc", true),
    ])
    func aListNamesThePagesThatAreLetIn(_ entry: String, _ origin: String, _ allowed: Bool) throws {
        #expect(try self.isAllowed(origin, by: ["other.example", entry], host: "own.example") == allowed)
        if entry != "*" { #expect(try !self.isAllowed("https://own.example", by: [entry], host: "own.example")) }
    }

    @Test func withoutAnOriginItDependsOnCookiesAndTheList() throws {
        let cookie = [("Cookie", "sessionid=1")]
        #expect(try self.isAllowed(nil))
        #expect(try self.isAllowed(nil, more: cookie))
        #expect(try self.isAllowed(nil, by: ["https://example.org"]))
        #expect(try !self.isAllowed(nil, by: ["https://example.org"], more: cookie))
        #expect(try self.isAllowed(nil, by: ["https://example.org", "self"], more: cookie))
    }

    @Test func anEventStreamOfTheOwnPageHasNoOriginButSaysSo() throws {
        let own = [("Cookie", "sessionid=1"), ("Sec-Fetch-Site", "same-origin")]
        #expect(try self.isAllowed(nil, more: own))
        #expect(try self.isAllowed(nil, by: ["https://example.org"], more: own))
        #expect(try !self.isAllowed(nil, by: ["https://other.example"], more: own))
        for site in ["cross-site", "same-site", "nonsense"] {
            #expect(try !self.isAllowed(nil, more: [("Sec-Fetch-Site", site)]))
        }
        #expect(try self.isAllowed(nil, more: [("Sec-Fetch-Site", "none")]))
    }

    @Test(arguments: ["", "https://", "a b", "https://*.example.org", "https://example.org/path", ".", "example.org:x"])
    func whatIsNoOriginIsAFault(_ entry: String) {
        #expect(throws: RouteError.self) { try OriginCheck(allowing: [entry]) }
    }
}
