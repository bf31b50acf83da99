import ChannelLayer
import Logging
import NIOCore
import Synchronization
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

    private func host(of topic: RedisTopic) -> Host {
        self.hosts[RedisSharding.shard(of: topic.name, hosts: self.hosts.count)]
    }

    func publish(_ payload: ByteBuffer, to topic: RedisTopic, completion: @escaping @Sendable (RedisError?) -> Void) {
        self.host(of: topic).publisher.send(.publish(payload, to: topic, sharded: false)) { result in
            if case .failure(let error) = result { completion(error) } else { completion(nil) }
        }
    }

    func run(
        _ command: RedisCommand, on topic: RedisTopic,
        completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
    ) {
        self.host(of: topic).publisher.send(command, completion: completion)
    }

    func subscribe(_ topic: RedisTopic, ready: @escaping @Sendable (RedisError?) -> Void) {
        self.host(of: topic).subscriber.subscribe(topic, ready: ready)
    }

    func unsubscribe(_ topic: RedisTopic) { self.host(of: topic).subscriber.unsubscribe(topic) }

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

extension RedisCommand {
    /// - Parameter sharded: within the slot of a cluster.
    static func publish(_ payload: ByteBuffer, to topic: RedisTopic, sharded: Bool) -> RedisCommand {
        var command = RedisCommand(
            sharded ? "SPUBLISH" : "PUBLISH", reserving: payload.readableBytes + topic.name.utf8.count + 48)
        command.append(topic.name)
        command.append(payload)
        return command
    }
}

/// Tells of one gap when some of several subscribers lost theirs: it lasts until all are restored.
final class RedisGaps: Sendable {
    private let open = Mutex<Set<Int>>([])
    private let receiver: any RedisPubSubReceiver

    init(_ receiver: any RedisPubSubReceiver) { self.receiver = receiver }

    func heard(_ event: RedisSubscriberEvent, from subscriber: Int) {
        switch event {
        case .lost(let error): self.begin(subscriber, error)
        case .restored: self.end(subscriber)
        case .moved, .failed, .refused: break
        }
    }

    func begin(_ subscriber: Int, _ error: RedisError) {
        // Told under the lock, so that the end is never told before the beginning.
        self.open.withLock { open in
            if open.isEmpty { self.receiver.interrupted(error) }
            open.insert(subscriber)
        }
    }

    func end(_ subscriber: Int) {
        self.open.withLock { open in
            if open.remove(subscriber) != nil, open.isEmpty { self.receiver.restored() }
        }
    }
}
