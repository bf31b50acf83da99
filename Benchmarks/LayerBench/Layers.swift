import ChannelLayer
import Logging
import RabbitMQLayer
import RedisLayer

/// The layer of `backend`, with room for whatever is under way: what is measured is speed, not what is dropped.
func makeLayer(_ backend: String, url: String) throws -> any ChannelLayer {
    var limits = LayerConfiguration()
    limits.capacity = 1_000_000
    let logger = Logger(label: "bench") { StreamLogHandler.standardError(label: $0) }
    switch backend {
    case "redis":
        var configuration = RedisLayerConfiguration()
        configuration.hosts = [try RedisEndpoint(parsing: url)]
        configuration.limits = limits
        return RedisLayer(configuration, logger: logger)
    case "redis_pubsub":
        var configuration = RedisPubSubConfiguration()
        configuration.hosts = [try RedisEndpoint(parsing: url)]
        return RedisPubSubLayer(configuration, logger: logger)
    case "rabbitmq":
        var configuration = RabbitMQConfiguration(addresses: [try RabbitMQAddress(url)])
        configuration.limits = limits
        configuration.remoteCapacity = nil
        return RabbitMQLayer(configuration: configuration, logger: logger)
    default:
        fail("no backend is called \(backend)")
    }
}
