import ChannelLayer
import JSON
import Logging
import RabbitMQLayer
import Settings

/// Which layer carries messages between processes; the one place that names concrete layers.
enum LayerSettings {
    static let channelLayers = StructuredSetting(
        "channel_layers", wanted: "{ \"default\": { \"backend\": …, \"config\": { … } } }",
        default: JSONValue(.object([])),
        help: """
            What carries messages between processes, as Django's CHANNEL_LAYERS. Only "default" is used. The backend \
            "memory" needs no broker and reaches only this process; its config has capacity (100 messages a channel), \
            channel_capacity (capacities by name pattern), expiry ("60s") and group_expiry ("1d"). The backend \
            "rabbitmq" is described in docs/rabbitmq.md.
            """, example: #"{"default": {"backend": "memory", "config": {"capacity": 100}}}"#)

    static let all: [any AnySetting] = [channelLayers]
}

/// The layer an operator chose.
enum LayerChoice {
    case memory(LayerConfiguration)
    case rabbitMQ(RabbitMQConfiguration)

    private enum Backend: String, CaseIterable {
        case memory, redis
        case redisPubSub = "redis_pubsub"
        case rabbitMQ = "rabbitmq"
    }

    /// Django's names for them, which people paste.
    private static let djangoNames: [String: Backend] = [
        "channels.layers.InMemoryChannelLayer": .memory,
        "channels_redis.core.RedisChannelLayer": .redis,
        "channels_redis.pubsub.RedisPubSubChannelLayer": .redisPubSub,
        "channels_rabbitmq.core.RabbitmqChannelLayer": .rabbitMQ,
    ]

    init(reading reader: SettingsReader) {
        self = .memory(LayerConfiguration())
        guard let layers = reader.node(LayerSettings.channelLayers), layers.allow(["default"]) else { return }
        guard let layer = layers.child("default"), layer.allow(["backend", "config"]) else { return }
        guard let backend = layer.required("backend", .backend(Self.djangoNames.mapValues(\.rawValue))) else { return }
        switch Backend(rawValue: backend) {
        case .memory, nil: self = .memory(layer.child("config").map(Self.memory) ?? LayerConfiguration())
        case .rabbitMQ: self = .rabbitMQ(RabbitMQConfiguration(reading: layer.child("config")))
        case .redis, .redisPubSub:
            layer.child("backend")?.fault("is not in this build yet; available are \"memory\" and \"rabbitmq\"")
        }
    }

    private static func memory(_ config: SettingsNode) -> LayerConfiguration {
        var configuration = LayerConfiguration()
        guard config.allow(["capacity", "channel_capacity", "expiry", "group_expiry"]) else { return configuration }
        let capacity = SettingKind<Int>.integer(in: 1...1_000_000, unit: "messages")
        let expiry = SettingKind<Duration>.duration(in: .seconds(1)...(.seconds(31_536_000)))
        configuration.capacity = config.read("capacity", capacity, default: configuration.capacity)
        configuration.expiry = config.read("expiry", expiry, default: configuration.expiry)
        configuration.groupExpiry = config.read("group_expiry", expiry, default: configuration.groupExpiry)
        for (pattern, node) in config.child("channel_capacity")?.members(limit: 1_000) ?? [] {
            guard let capacity = node.read(capacity) else { continue }
            configuration.channelCapacity.append((CapacityPattern(pattern), capacity))
        }
        return configuration
    }

    var name: String {
        switch self {
        case .memory: "memory"
        case .rabbitMQ: "rabbitmq"
        }
    }

    /// Whether other processes hear what is sent here.
    var isShared: Bool {
        switch self {
        case .memory: false
        case .rabbitMQ: true
        }
    }

    func make(observer: any LayerObserver) -> any ChannelLayer {
        switch self {
        case .memory(let configuration): MemoryLayer(configuration: configuration, observer: observer)
        case .rabbitMQ(let configuration):
            RabbitMQLayer(configuration: configuration, observer: observer, logger: Logger(label: "layer"))
        }
    }
}

extension SettingKind where Value == String {
    /// The name of a backend, ours or Django's.
    fileprivate static func backend(_ djangoNames: [String: String]) -> SettingKind<String> {
        let words = ["memory", "redis", "redis_pubsub", "rabbitmq"]
        return SettingKind<String>.string.converted(wanted: words.map { "\"\($0)\"" }.joined(separator: ", ")) { text in
            if let name = djangoNames[text] { return name }
            return try SettingKind<String>.oneOf(words).value(from: text)
        } back: {
            $0
        }
    }
}
