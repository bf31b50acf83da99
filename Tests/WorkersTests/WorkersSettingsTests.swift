import NIOCore
import Settings
import Testing

@testable import Workers

struct WorkersSettingsTests {
    private let known = WorkersSettings.all + PublishSettings.all

    @Test func withoutAFileTheDefaultsHold() throws {
        let reader = SettingsReader(known: self.known)
        let configuration = WorkersConfiguration(reading: reader)
        try reader.finish()
        #expect(configuration.listen == .tcp(host: "127.0.0.1", port: 8002))
        #expect(configuration.threads == 8 && configuration.queue == 64)
        #expect(configuration.requestTimeout == .seconds(30) && configuration.idleTimeout == .seconds(75))
        #expect(configuration.trustedProxies == ["127.0.0.1", "::1"] && configuration.socketMode == nil)
        let api = PublishAPI.Configuration(reading: reader)
        #expect(api.prefix == "/api/" && api.keys.isEmpty && !api.insecure && !api.transportErrors)
    }

    @Test func aFileChangesThem() throws {
        let text = """
            {"workers": {"listen": "unix:///run/w.sock", "socket_mode": "0660", "threads": 2, "request_timeout": "250ms"},
             "api": {"keys": ["${KEY}"], "error_mode": "transport"}}
            """
        let reader = SettingsReader(
            path: "s.json", text: ByteBuffer(string: text), environment: ["KEY": "secret"], known: self.known)
        let configuration = WorkersConfiguration(reading: reader)
        let api = PublishAPI.Configuration(reading: reader)
        try reader.finish()
        #expect(configuration.listen == .unix(path: "/run/w.sock") && configuration.socketMode == 0o660)
        #expect(configuration.threads == 2 && configuration.requestTimeout == .milliseconds(250))
        #expect(api.keys == ["secret"] && api.transportErrors)
    }

    @Test(arguments: [
        #""listen": "tcp:8002""#, #""listen": "http://host""#, #""listen": "fd:x""#, #""threads": 0"#, #""queue": -1"#,
        #""request_timeout": "soon""#, #""trusted_proxies": ["localhost"]"#, #""socket_mode": "0999""#, #""thread": 1"#,
    ])
    func whatCannotBeUsedIsAFault(_ member: String) {
        let reader = SettingsReader(
            path: "s.json", text: ByteBuffer(string: #"{"workers": {\#(member)}}"#), known: self.known)
        _ = WorkersConfiguration(reading: reader)
        let faults = #expect(throws: SettingsFaults.self) { try reader.finish() }
        #expect(faults?.faults.count == 1)
    }

    @Test func everySettingIsReadAndListedOnce() {
        let names = self.known.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(self.known.allSatisfy { $0.help.hasSuffix(".") })
    }
}
