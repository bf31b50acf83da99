import ChannelLayer
import JSON
import Logging
import RabbitMQLayer
import RedisLayer
import Settings

/// Which layer carries messages between processes; the one place that names concrete layers.
enum LayerSettings {
    static let channelLayers = StructuredSetting(
        "channel_layers", wanted: "{ \"default\": { \"backend\": …, \"config\": { … } } }",
        default: JSONValue(.object([])),
        help: """
            What carries messages between processes, as Django's CHANNEL_LAYERS. Only "default" is used. The backend \
            "memory" needs no broker and reaches only this process; its config has capacity (100 messages a channel), \
            channel_capacity (capacities by name pattern), expiry ("60s") and group_expiry ("1d"). The backend "redis" is \
            a peer of channels_redis.core.RedisChannelLayer; its config has the same, and hosts (["redis://localhost:6379"]; \
            each a URL, [HOST, PORT] or a map), prefix ("asgi"), symmetric_encryption_keys, random_prefix_length (12) and \
            serializer_format ("msgpack" or "json"). The backend "redis_pubsub" is a peer of \
            channels_redis.pubsub.RedisPubSubChannelLayer. Every process of a site must have the same. All options are in \
            docs/redis.md, those of the backend "rabbitmq" in docs/rabbitmq.md.
            """, example: #"{"default": {"backend": "redis", "config": {"hosts": ["redis://localhost:6379/0"]}}}"#)

    static let all: [any AnySetting] = [channelLayers]
}

/// The layer an operator chose.
enum LayerChoice {
    case memory(LayerConfiguration)
    case rabbitMQ(RabbitMQConfiguration)
    case redis(RedisLayerConfiguration)
    case redisPubSub(RedisPubSubConfiguration)

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
        case .redis: self = .redis(RedisLayerConfiguration(reading: layer.child("config")))
        case .rabbitMQ: self = .rabbitMQ(RabbitMQConfiguration(reading: layer.child("config")))
        case .redisPubSub: self = .redisPubSub(RedisPubSubConfiguration(reading: layer.child("config")))
        }
    }

    private static func memory(_ config: SettingsNode) -> LayerConfiguration {
        guard config.allow(LayerConfiguration.settingKeys) else { return LayerConfiguration() }
        return LayerConfiguration(reading: config)
    }

    var name: String {
        switch self {
        case .memory: "memory"
        case .rabbitMQ: "rabbitmq"
        case .redis: "redis"
        case .redisPubSub: "redis_pubsub"
        }
    }

    /// Whether other processes hear what is sent here.
    var isShared: Bool {
        switch self {
        case .memory: false
        case .redis, .redisPubSub, .rabbitMQ: true
        }
    }

    /// Why its broker cannot be used; none when it answers, or there is none.
    func problems() async -> [String] {
        switch self {
        case .memory: []
        case .rabbitMQ(let configuration): await RabbitMQLayer.problems(reaching: configuration)
        case .redis(let configuration): await RedisLayer.problems(reaching: configuration.hosts)
        case .redisPubSub(let configuration): await RedisLayer.problems(reaching: configuration.hosts)
        }
    }

    func make(observer: any LayerObserver) -> any ChannelLayer {
        switch self {
        case .memory(let configuration): MemoryLayer(configuration: configuration, observer: observer)
        case .rabbitMQ(let configuration):
            RabbitMQLayer(configuration: configuration, observer: observer, logger: Logger(label: "layer"))
        case .redis(let configuration):
            RedisLayer(configuration, observer: observer, logger: Logger(label: "layer"))
        case .redisPubSub(let configuration):
            RedisPubSubLayer(configuration, observer: observer, logger: Logger(label: "layer"))
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
