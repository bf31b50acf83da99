import NIOCore
import RabbitMQLayer
import Settings
import Testing

@Suite struct RabbitMQSettingsTests {
    private static let setting = StructuredSetting("layer", wanted: "a layer", help: "A layer.")

    private func read(_ config: String, _ environment: [String: String] = [:]) -> (
        RabbitMQConfiguration, SettingsReader
    ) {
        let reader = SettingsReader(
            path: "settings.json", text: ByteBuffer(string: "{\"layer\":\n\(config)}"), environment: environment,
            known: [Self.setting])
        return (RabbitMQConfiguration(reading: reader.node(Self.setting)), reader)
    }

    @Test func djangosOptionsAreRead() throws {
        let (configuration, reader) = self.read(
            """
            {"host": "amqp://u:${PASSWORD}@broker:5673/asgi", "expiry": 30, "local_expiry": 10, "group_expiry": 100,
             "local_capacity": 100, "remote_capacity": 200, "groups_exchange": "mine"}
            """, ["PASSWORD": "p@ss"])
        try reader.finish()
        let expected = RabbitMQAddress(host: "broker", port: 5_673, user: "u", password: "p@ss", virtualHost: "asgi")
        #expect(configuration.addresses == [expected])
        #expect(configuration.expiry == .seconds(30))
        #expect(configuration.limits.expiry == .seconds(10))
        #expect(configuration.limits.groupExpiry == .seconds(100))
        #expect(configuration.localCapacity == 100)
        #expect(configuration.remoteCapacity == 200)
        #expect(configuration.groupsExchange == "mine")
    }

    @Test func nullMeansThatThereIsNone() throws {
        let (configuration, reader) = self.read(
            #"{"expiry": null, "remote_capacity": null, "publish_exchange": null, "dead_letter_queue": null}"#)
        try reader.finish()
        #expect(configuration.expiry == nil)
        #expect(configuration.remoteCapacity == nil)
        #expect(configuration.publishExchange == nil)
        #expect(configuration.deadLetterQueue == nil)
    }

    @Test func nothingGivenIsTheDefaultOfThePythonLayer() throws {
        let (configuration, reader) = self.read("{}")
        try reader.finish()
        #expect(configuration.addresses == [try RabbitMQAddress("amqp://guest:guest@127.0.0.1/asgi")])
        #expect(RabbitMQConfiguration(reading: nil).groupsExchange == "groups")
    }

    @Test func aClusterIsAList() throws {
        let (configuration, reader) = self.read(#"{"host": ["amqp://a", "amqp://b;amqp://c"]}"#)
        try reader.finish()
        #expect(configuration.addresses.map(\.host) == ["a", "b", "c"])
    }

    @Test func certificatesAreRead() throws {
        let (configuration, reader) = self.read(
            #"{"host": "amqps://b", "ssl": {"ca": "/ca", "certificate": "/c", "key": "/k", "verify_name": false}}"#)
        try reader.finish()
        #expect(configuration.tls.authorityFile == "/ca")
        #expect(configuration.tls.certificateFile == "/c")
        #expect(configuration.tls.keyFile == "/k")
        #expect(configuration.tls.verifiesPeer && !configuration.tls.verifiesName)
    }

    @Test(arguments: [
        (#"{"host": "http://u:secret@b"}"#, "settings.json:2  layer.host"),
        (#"{"host": []}"#, "layer.host"),
        (#"{"host": ["amqp://u:secret@b?x"]}"#, "layer.host[0]"),
        (#"{"hosts": "amqp://b"}"#, "did you mean"),
        (#"{"expiry": "soon"}"#, "layer.expiry"),
        (#"{"local_capacity": 0}"#, "1 to 65535 messages"),
        (#"{"overflow": "drop"}"#, "drop_oldest"),
        (#"{"groups_exchange": ""}"#, "a name of 1 to 127 bytes"),
        (#"{"groups_exchange": "x", "publish_exchange": "x"}"#, "another exchange"),
        (#"{"ssl": {"key": "/k"}}"#, "layer.ssl.certificate is missing"),
        (#"{"ssl": {"cafile": "/k"}}"#, "layer.ssl.cafile"),
    ])
    func faultsNameTheSettingAndNoSecret(_ config: String, _ words: String) {
        let (_, reader) = self.read(config)
        let faults = #expect(throws: SettingsFaults.self) { try reader.finish() }
        let text = faults?.description ?? ""
        #expect(text.contains(words), "\(text)")
        #expect(text.contains("settings.json:2"))
        #expect(!text.contains("secret"))
    }
}
