import NIOCore
import Settings
import Testing

@testable import Gateway

@Suite struct ClientSettingsTests {
    private func read(_ text: String) -> (configuration: ClientConfiguration?, faults: String) {
        let reader = SettingsReader(
            path: "settings.json", text: ByteBuffer(string: #"{"gateway": {"centrifugo": \#(text)}}"#),
            known: [ClientConfiguration.setting])
        let configuration = ClientConfiguration(reading: reader)
        do throws(SettingsFaults) {
            try reader.finish()
            return (configuration, "")
        } catch {
            return (configuration, error.description)
        }
    }

    @Test func theChannelsOfServeAreForThisHostAlone() throws {
        let embedded = try #require(ClientConfiguration.embedded())
        #expect(embedded.isLoopbackOnly && embedded.allowsAnonymous)
        #expect(embedded.namespaces.number(of: "chat:lobby") == 1)
        #expect(embedded.namespaces.all.count == 2)
        #expect(embedded.namespaces.all.first == ChannelOptions())
    }

    @Test func everythingIsRead() throws {
        let (read, faults) = self.read(
            """
            { "token": { "keys": [ { "algorithm": "HS256", "secret": "\(String(repeating: "s", count: 32))" } ] },
              "allow_anonymous_connect_without_token": true, "channel_limit": 7, "on_gap": "reconnect",
              "allowed_origins": ["*"],
              "without_namespace": { "allow_subscribe_for_client": true, "data_key": "text" },
              "namespaces": [ { "name": "chat", "allow_publish_for_subscriber": true } ] }
            """)
        #expect(faults == "")
        let configuration = try #require(read)
        #expect(configuration.tokens != nil && configuration.allowsAnonymous && configuration.origins != nil)
        #expect(configuration.channelLimit == 7 && configuration.gap == .reconnect)
        let namespaces = configuration.namespaces
        #expect(namespaces.all[0].allowSubscribeForClient && namespaces.all[0].dataKey == "text")
        #expect(namespaces.number(of: "chat:7") == 1 && namespaces.all[1].publishing.forSubscriber)
        #expect(namespaces.number(of: "$chat:7") == 1 && namespaces.number(of: "news") == 0)
        #expect(namespaces.number(of: "other:7") == nil && namespaces.number(of: ":7") == nil)
    }

    private static let proxies = #""proxies": [{"name": "chat", "endpoint": "/chat", "batch_size": 7}]"#

    @Test func aNamespaceMayNameItsProxy() throws {
        let (read, faults) = self.read(
            """
            { "insecure": true, \(Self.proxies),
              "without_namespace": { "publish_proxy_enabled": true, "publish_proxy_name": "default" },
              "namespaces": [ { "name": "ab", "subscribe_proxy_enabled": true, "subscribe_proxy_name": "chat",
                "publish_proxy_enabled": true, "publish_proxy_name": "chat",
                "sub_refresh_proxy_enabled": true, "sub_refresh_proxy_name": "chat" } ] }
            """)
        #expect(faults == "")
        let configuration = try #require(read)
        #expect(configuration.namedProxies.keys.sorted() == ["chat"])
        #expect(configuration.namedProxies["chat"]?.endpoint == .workers(path: "/chat"))
        #expect(configuration.namedProxies["chat"]?.batchSize == 7)
        let (plain, named) = (configuration.namespaces.all[0], configuration.namespaces.all[1])
        for event in ProxyEvent.allCases { #expect(plain.proxy(for: event) == .own) }
        for event in [ProxyEvent.subscribe, .publish, .subscriptionRefresh] {
            #expect(named.proxy(for: event) == .named("chat"))
        }
        #expect(named.proxy(for: .rpc) == .own)
    }

    @Test(arguments: [
        (#""proxies": {}"#, "wanted a list"), (#""proxies": [{"name": "ab"}]"#, "endpoint is missing"),
        (#""proxies": [{"endpoint": "/a"}]"#, "name is missing"),
        (#""proxies": [{"name": "a", "endpoint": "/a"}]"#, "two or more"),
        (#""proxies": [{"name": "default", "endpoint": "/a"}]"#, "choose another"),
        (#""proxies": [{"name": "ab", "endpoint": "/a"}, {"name": "ab", "endpoint": "/b"}]"#, "stands above already"),
        (#""proxies": [{"name": "ab", "endpoint": "/a", "batch_sise": 2}]"#, "did you mean \"batch_size\""),
        (
            #"\#(Self.proxies), "without_namespace": {"subscribe_proxy_name": "chat"}"#,
            "has no effect without \"subscribe_proxy_enabled\""
        ),
        (
            #"\#(Self.proxies), "without_namespace": {"publish_proxy_enabled": true, "publish_proxy_name": "chad"}"#,
            "stands in no \"name\" of \"proxies\"; did you mean \"chat\"?"
        ),
        (
            #""namespaces": [{"name": "ab", "sub_refresh_proxy_enabled": true, "sub_refresh_proxy_name": "news"}]"#,
            "namespaces[0].sub_refresh_proxy_name = \"news\""
        ),
    ]) func aProxyThatIsNotThereIsTold(text: String, fault: String) {
        let faults = self.read(#"{"insecure": true, \#(text)}"#).faults
        #expect(faults.contains(fault), "\(faults)")
    }

    @Test func withoutTheSettingThereIsNoEndpoint() {
        #expect(self.read("null").configuration == nil)
    }

    @Test(arguments: [
        ("{}", "lets nobody in"), ("[]", "wanted an object"),
        (#"{"allow_anonymous_connect_without_token": true, "namespace": []}"#, "did you mean \"namespaces\""),
        (#"{"allow_anonymous_connect_without_token": true, "namespaces": [{"name": "x"}]}"#, "two or more"),
        (
            #"{"allow_anonymous_connect_without_token": true, "namespaces": [{"name": "ab"}, {"name": "ab"}]}"#,
            "stands above"
        ),
        (#"{"allow_anonymous_connect_without_token": true, "on_gap": "close"}"#, "reconnect"),
        (#"{"token": {"keys": [], "query": "t"}}"#, "has no effect here"),
    ]) func whatCannotBeIsTold(text: String, fault: String) {
        let faults = self.read(text).faults
        #expect(faults.contains(fault), "\(faults)")
    }
}
