import NIOCore
import Settings

extension ClientConfiguration {
    /// The channels of `carillon serve` without a settings file: anybody on this host talks in those of the namespace
    /// `chat`. There are no others, so that the groups of the layer are followed on the route alone that is for them.
    /// Never `nil`, as a test sees to.
    package static func embedded() -> ClientConfiguration? {
        let reader = SettingsReader(
            path: "serve", text: ByteBuffer(string: Self.embeddedText), known: [Self.setting])
        guard var configuration = ClientConfiguration(reading: reader) else { return nil }
        guard (try? reader.finish()) != nil else { return nil }
        configuration.isLoopbackOnly = true
        return configuration
    }

    private static let embeddedText = """
        { "gateway": { "centrifugo": {
            "allow_anonymous_connect_without_token": true,
            "transports": ["websocket", "http_stream"],
            "namespaces": [ {
                "name": "chat",
                "allow_subscribe_for_client": true, "allow_subscribe_for_anonymous": true,
                "allow_publish_for_subscriber": true,
                "history_size": 1000, "history_ttl": "1h", "force_recovery": true, "allow_history_for_subscriber": true,
                "presence": true, "join_leave": true, "allow_presence_for_subscriber": true } ] } } }
        """
}
