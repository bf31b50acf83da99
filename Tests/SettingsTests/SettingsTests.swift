import NIOCore
import Testing

@testable import Settings

enum Colour: String, CaseIterable { case red, green }

enum TestSettings {
    static let limit = Setting(
        "gateway.send_queue_limit", default: 1_048_576, in: 4_096...1_073_741_824, unit: "bytes", help: "A limit.")
    static let timeout = Setting(
        "workers.request_timeout", default: .seconds(30), in: .milliseconds(1)...(.seconds(3_600)), help: "A time.")
    static let colour = Setting("gateway.colour", default: Colour.red, help: "A colour.")
    static let isOn = Setting("gateway.compression", default: false, help: "A switch.")
    static let keys = Setting("api.keys", default: [], help: "Keys.", isSecret: true)
    static let listen = Setting(
        "telemetry.listen", default: nil, kind: SettingKind<ListenAddress>.listenAddress.orNone, help: "An address.")
    static let routes = StructuredSetting("gateway.routes", wanted: "a list of routes", help: "Routes.")
    static let all: [any AnySetting] = [limit, timeout, colour, isOn, keys, listen, routes]
}

func reader(
    _ file: String? = nil, _ environment: [String: String] = [:], flags: [SettingsReader.Flag] = []
) -> SettingsReader {
    SettingsReader(
        path: file.map { _ in "settings.json" }, text: file.map { ByteBuffer(string: $0) }, environment: environment,
        flags: flags, known: TestSettings.all)
}

@Suite struct SettingsReaderTests {
    @Test func aFlagCountsOverTheEnvironmentOverTheFileOverTheDefault() throws {
        let file = #"{"gateway": {"send_queue_limit": 5000}}"#
        let variable = ["CARILLON_GATEWAY_SEND_QUEUE_LIMIT": "6000"]
        let flag = SettingsReader.Flag(setting: "gateway.send_queue_limit", flag: "--limit", text: "7000")
        #expect(reader().value(TestSettings.limit) == 1_048_576)
        #expect(reader(file).value(TestSettings.limit) == 5_000)
        #expect(reader(file, variable).value(TestSettings.limit) == 6_000)
        let all = reader(file, variable, flags: [flag])
        #expect(all.value(TestSettings.limit) == 7_000)
        #expect(all.origin(of: "gateway.send_queue_limit") == .flag("--limit"))
        #expect(reader(file).origin(of: "gateway.send_queue_limit") == .file("settings.json", line: 1))
    }

    @Test(arguments: [
        (#""64KiB""#, 65_536), (#""1 MiB""#, 1_048_576), ("8192", 8_192), (#""8192""#, 8_192), (#""5KB""#, 5_000),
    ]) func bytesHaveUnits(text: String, bytes: Int) throws {
        let reader = reader(#"{"gateway": {"send_queue_limit": \#(text)}}"#)
        #expect(reader.value(TestSettings.limit) == bytes)
        try reader.finish()
    }

    @Test(arguments: [
        ("250ms", Duration.milliseconds(250)), ("30s", .seconds(30)), ("5m", .seconds(300)), ("1h", .seconds(3_600)),
        ("30", .seconds(30)),
    ]) func timesHaveUnits(text: String, time: Duration) throws {
        let reader = reader(nil, ["CARILLON_WORKERS_REQUEST_TIMEOUT": text])
        #expect(reader.value(TestSettings.timeout) == time)
        try reader.finish()
    }

    @Test(arguments: ["", "s", "-1s", "1w", "99999999999999999999s", "9223372036854775807d", "2h", "0ms"])
    func whatIsNoTimeIsAFault(text: String) throws {
        let reader = reader(nil, ["CARILLON_WORKERS_REQUEST_TIMEOUT": text])
        #expect(reader.value(TestSettings.timeout) == .seconds(30))
        #expect(throws: SettingsFaults.self) { try reader.finish() }
    }

    @Test func allFaultsComeAtOnceWithTheirPlaces() throws {
        let reader = reader(
            """
            {
              "gateway": {
                "send_queue_limit": 12,
                "colour": "gren",
                "compresion": true
              },
              "workers": {"request_timeout": {}},
              "api": {"keys": ["${NOT_SET}"]},
              "router": 1
            }
            """, ["CARILLON_GATEWAY_COMPRESSION": "maybe"])
        _ = reader.value(TestSettings.limit)
        _ = reader.value(TestSettings.colour)
        _ = reader.value(TestSettings.isOn)
        _ = reader.value(TestSettings.timeout)
        _ = reader.value(TestSettings.keys)
        let faults = #expect(throws: SettingsFaults.self) { try reader.finish() }
        #expect(
            faults?.description == """
                7 settings cannot be used
                  settings.json:3  gateway.send_queue_limit = 12   wanted 4096 to 1073741824 bytes
                  settings.json:4  gateway.colour = "gren"         wanted "red" or "green"; did you mean "green"?
                  settings.json:5  gateway.compresion              is no setting; did you mean "compression"?
                  settings.json:7  workers.request_timeout = {}    wanted 1ms to 1h; a time is a number and one of ms, s, m, h, d, as in "30s"
                  settings.json:8  NOT_SET is not set              named by api.keys[0]; set it in the environment of the process
                  settings.json:9  router                          is no setting; known here: api, gateway, telemetry, workers
                  CARILLON_GATEWAY_COMPRESSION = maybe             wanted true or false
                """)
    }

    @Test func aVariableThatIsNearlyASettingIsAFaultAndOthersAreNot() throws {
        let near = reader(nil, ["CARILLON_GATEWAY_COLOR": "red"])
        let faults = #expect(throws: SettingsFaults.self) { try near.finish() }
        #expect(faults?.faults.first?.note == "did you mean CARILLON_GATEWAY_COLOUR?")
        try reader(nil, ["CARILLON_GATEWAY_SERVICE_HOST": "10.0.0.1", "CARILLON_API_KEY": "k", "HOME": "/"])
            .finish()
    }

    @Test func secretsAreFilledInAndNeverShown() throws {
        let reader = reader(
            #"{"api": {"keys": ["a-${ONE}-$${TWO}"]}}"#, ["ONE": "first, and ${more}"])
        #expect(reader.value(TestSettings.keys) == ["a-first, and ${more}-${TWO}"])
        #expect(TestSettings.keys.reading(by: reader).shownValue == "(hidden)")
        let wrong = SettingsTests.reader(#"{"api": {"keys": "hush"}}"#)
        _ = wrong.value(TestSettings.keys)
        let faults = #expect(throws: SettingsFaults.self) { try wrong.finish() }
        #expect(faults?.description.contains("hush") == false)
    }

    @Test func aKeyThatStandsTwiceIsAFault() throws {
        let reader = reader("{\"gateway\": {\"colour\": \"red\",\n\"colour\": \"green\"}}")
        let faults = #expect(throws: SettingsFaults.self) { try reader.finish() }
        #expect(faults?.faults.map(\.left) == ["settings.json:2  gateway.colour"])
    }

    @Test(arguments: ["", "{", "[]", "{\"a\": 1,}", "{\"a\": \u{1}}", "nul", String(repeating: "[", count: 100_000)])
    func whatIsNoSettingsFileIsOneFaultWithALine(text: String) {
        let faults = #expect(throws: SettingsFaults.self) {
            try SettingsFile(name: "settings.json", text: ByteBuffer(string: text))
        }
        #expect(faults?.faults.first?.place == "settings.json:1")
    }

    @Test(arguments: [
        ("http://127.0.0.1:8000", ListenAddress.tcp(host: "127.0.0.1", port: 8_000)),
        ("http://[::1]:0/", .tcp(host: "::1", port: 0)), ("unix:///run/c.sock", .unix(path: "/run/c.sock")),
        ("fd://0", .descriptor(0)),
    ]) func addressesToListenOn(text: String, address: ListenAddress) throws {
        #expect(try ListenAddress(text) == address)
    }

    @Test(arguments: [
        "", "127.0.0.1", "http://", "http://host", "http://:1", "http://h:65536", "http://u@h:1", "unix://run",
        "fd://-1", "fd:0",
        "https://h:1", "unix:///" + String(repeating: "a", count: 200),
    ]) func whatIsNoAddressIsRefused(text: String) {
        #expect(throws: SettingMismatch.self) { try ListenAddress(text) }
    }
}

@Suite struct SettingsNodeTests {
    @Test func faultsOfPartsNameTheirPath() throws {
        let reader = reader(
            """
            {"gateway": {"routes": [
              {"path": "/a", "rules": [{"type": "x"}, {"type": 5}], "otherwies": "drop"},
              {"rules": {}}
            ]}}
            """)
        for route in reader.node(TestSettings.routes)?.elements(limit: 10) ?? [] {
            route.allow(["path", "rules", "otherwise"])
            _ = route.required("path", .string)
            for rule in route.elements("rules", limit: 10) { _ = rule.required("type", .string) }
        }
        let faults = #expect(throws: SettingsFaults.self) { try reader.finish() }
        #expect(
            faults?.description == """
                4 settings cannot be used
                  settings.json:2  gateway.routes[0].otherwies           is no setting; did you mean "otherwise"?
                  settings.json:2  gateway.routes[0].rules[1].type = 5   wanted a text, in quotation marks
                  settings.json:3  gateway.routes[1].path is missing     wanted a text
                  settings.json:3  gateway.routes[1].rules = {}          wanted a list, [ … ]
                """)
    }

    @Test func partsCanComeFromTheEnvironmentAsJSON() throws {
        let reader = reader(nil, ["CARILLON_GATEWAY_ROUTES": #"[{"path": "/a"}]"#])
        let routes = reader.node(TestSettings.routes)?.elements(limit: 10) ?? []
        #expect(routes.map { $0.required("path", .string) } == ["/a"])
    }

    @Test func countsAreBounded() throws {
        let reader = reader(#"{"gateway": {"routes": [1, 2, 3]}}"#)
        #expect(reader.node(TestSettings.routes)?.elements(limit: 2).isEmpty == true)
        #expect(throws: SettingsFaults.self) { try reader.finish() }
    }
}
