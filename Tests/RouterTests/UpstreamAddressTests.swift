import Testing

@testable import Router
@testable import Upstream

@Suite struct UpstreamAddressTests {
    @Test(arguments: [
        ("http://127.0.0.1:8002", UpstreamAddress.tcp(host: "127.0.0.1", port: 8002)),
        ("http://app.example:80/", .tcp(host: "app.example", port: 80)),
        ("http://localhost", .tcp(host: "localhost", port: 80)),
        ("http://[::1]:8002", .tcp(host: "::1", port: 8002)),
        ("https://app.example", .tls(host: "app.example", port: 443)),
        ("https://[::1]:8443/", .tls(host: "::1", port: 8443)),
        ("unix:///run/carillon/worker.sock", .unix(path: "/run/carillon/worker.sock")),
        ("unix:/run/worker.sock", .unix(path: "/run/worker.sock")),
    ])
    func addressesAreRead(_ text: String, _ wanted: UpstreamAddress) throws {
        #expect(try UpstreamAddress(parsing: text) == wanted)
        #expect(try UpstreamAddress(parsing: wanted.description) == wanted)
    }

    @Test(arguments: [
        "", "127.0.0.1:8002", "https://", "https://a:0", "http://", "http://:80", "http://a:0", "http://a:65536",
        "http://a:+1",
        "http://a:b", "http://a/path", "http://u@a", "http://a b", "http://[::1", "http://[::1]x", "http://::1:80",
        "unix:", "unix://", "unix:///", "unix://relative", "unix:///" + String(repeating: "x", count: 107), "ftp://a",
    ])
    func othersAreRefusedWithWhatIsWanted(_ text: String) {
        let error = #expect(throws: UpstreamAddressError.self) { try UpstreamAddress(parsing: text) }
        #expect(error?.description.contains("wanted \(UpstreamAddress.wanted)") == true)
    }
}
