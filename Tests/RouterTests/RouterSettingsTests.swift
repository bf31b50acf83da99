import HTTP1
import NIOCore
import Settings
import Testing

@testable import Router
@testable import Upstream

@Suite struct RouterSettingsTests {
    @Test func withoutAWordTheFixedNamesHold() throws {
        let reader = SettingsReader(known: RouterSettings.all)
        let configuration = RouterConfiguration(reading: reader)
        try reader.finish()
        #expect(configuration.listen == [.tcp(host: "127.0.0.1", port: 8000)])
        #expect(configuration.gatewayPath == "/channels/")
        #expect(configuration.gateways.map(\.address) == [.tcp(host: "127.0.0.1", port: 8001)])
        #expect(configuration.workers.addresses == [.tcp(host: "127.0.0.1", port: 8002)])
        #expect(configuration.workers.connectTime == UpstreamConfiguration(addresses: []).connectTime)
        #expect(configuration.headTime == .seconds(15))
    }

    @Test func everythingCanBeSaid() throws {
        let reader = SettingsReader(
            environment: [
                "CARILLON_ROUTER_LISTEN": "unix:///run/r.sock, fd://0",
                "CARILLON_ROUTER_GATEWAYS_PATH": "/site/channels/",
                "CARILLON_ROUTER_GATEWAYS_UPSTREAMS": "unix:///run/g0.sock,http://127.0.0.1:9",
                "CARILLON_ROUTER_WORKERS_UPSTREAMS": "unix:///run/w.sock",
                "CARILLON_ROUTER_WORKERS_RESPONSE_TIMEOUT": "2m",
                "CARILLON_ROUTER_TRUSTED_PROXIES": "10.0.0.0/8",
            ], known: RouterSettings.all)
        let configuration = RouterConfiguration(reading: reader)
        try reader.finish()
        #expect(configuration.listen == [.unix(path: "/run/r.sock"), .descriptor(0)])
        #expect(configuration.gatewayPath == "/site/channels/")
        #expect(configuration.gateways.map { $0.handoff != nil } == [true, false])
        if case .socket(let path) = configuration.gateways.first?.handoff { #expect(path == "/run/g0.sock.handoff") }
        #expect(configuration.workers.addresses == [.unix(path: "/run/w.sock")])
        #expect(configuration.workers.firstByteTime == .minutes(2))
        #expect(configuration.trustedProxies.trusts(.ip(try #require(IPAddress("10.1.2.3")))))
    }

    @Test(arguments: [
        ("CARILLON_ROUTER_LISTEN", "8000"), ("CARILLON_ROUTER_GATEWAYS_PATH", "channels"),
        ("CARILLON_ROUTER_GATEWAYS_PATH", "/a?b/"), ("CARILLON_ROUTER_WORKERS_UPSTREAMS", "127.0.0.1:8002"),
        ("CARILLON_ROUTER_TRUSTED_PROXIES", "everybody"), ("CARILLON_ROUTER_HEAD_TIMEOUT", "0s"),
    ])
    func whatCannotBeUsedIsTold(_ variable: String, _ text: String) {
        let reader = SettingsReader(environment: [variable: text], known: RouterSettings.all)
        _ = RouterConfiguration(reading: reader)
        let faults = #expect(throws: SettingsFaults.self) { try reader.finish() }
        #expect(faults.map { "\($0)" }?.contains("wanted ") == true)
    }
}
