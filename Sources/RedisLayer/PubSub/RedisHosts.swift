import ChannelLayer
import Logging
import NIOCore
import Telemetry

/// One or more servers among which the names of topics are divided: one connection for publishing and one for
/// subscriptions to each.
final class RedisHosts: RedisPubSubTransport {
    private struct Host {
        let publisher: RedisClient
        let subscriber: RedisSubscriber
    }

    private let hosts: [Host]

    init(
        _ endpoints: [RedisEndpoint], options: RedisClientOptions, loops: any EventLoopGroup, logger: Logger,
        receiver: any RedisPubSubReceiver
    ) {
        let gaps = RedisGaps(receiver)
        self.hosts = endpoints.enumerated().map { index, endpoint in
            Host(
                publisher: RedisClient(endpoint, options: options, eventLoop: loops.next(), logger: logger),
                subscriber: RedisSubscriber(
                    endpoint, .everywhere, options: options, eventLoop: loops.next(), logger: logger,
                    onEvent: { event in
                        gaps.heard(event, from: index)
                        // Of a new one whoever wants it is told.
                        guard case .refused(let topic, let error, isNew: false) = event else { return }
                        logger.error(
                            "Redis no longer allows a subscription",
                            metadata: [LogKey.channel: "\(topic.name)", LogKey.error: "\(error.message)"])
                    },
                    onMessage: { [receiver] in receiver.arrived($0, on: $1) }))
        }
    }

    private func place(of topic: RedisTopic) -> Int {
        self.hosts.count > 1 ? RedisSharding.shard(of: topic.name, hosts: self.hosts.count) : 0
    }

    var isSharded: Bool { false }

    func publish(
        _ command: RedisCommand, to topic: RedisTopic, completion: @escaping @Sendable (LayerError?) -> Void
    ) {
        self.hosts[self.place(of: topic)].publisher.send(command, outcome: completion)
    }

    func run(
        _ command: RedisCommand, on topic: RedisTopic,
        completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
    ) {
        self.hosts[self.place(of: topic)].publisher.send(command, completion: completion)
    }

    func subscribe(_ topic: RedisTopic, ready: @escaping @Sendable (RedisError?) -> Void) {
        self.hosts[self.place(of: topic)].subscriber.subscribe(topic, ready: ready)
    }

    func unsubscribe(_ topic: RedisTopic) { self.hosts[self.place(of: topic)].subscriber.unsubscribe(topic) }

    /// Subscribes to something on each connection: what the server sent before is read before its answer.
    func settle() async {
        let topic = RedisTopic(ChannelName(unchecked: "carillon.settle.\(UInt64.random(in: .min ... .max))"))
        for host in self.hosts {
            await withCheckedContinuation { continuation in
                host.subscriber.subscribe(topic) { _ in continuation.resume() }
            }
            host.subscriber.unsubscribe(topic)
        }
    }

    func close() async {
        for host in self.hosts {
            await host.subscriber.close()
            await host.publisher.close()
        }
    }
}
