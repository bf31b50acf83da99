import ChannelLayer
import NIOCore

/// Publications of the layer that is a peer of `channels_redis.pubsub`: histories are on the server of the group's topic, and
/// one script keeps a publication and publishes it.
///
/// With `symmetric_encryption_keys` no script can write a position into a message, and with several servers none can publish to
/// another group's audience. Then it is kept first and published when
/// the answer is there: still in order for one process, but publications of two may be heard in another order than they are
/// kept in, and one whose process dies in between is kept and not heard. Whoever watches offsets finds it in the history.
struct RedisTopicPublisher: RedisStorePublisher {
    let keys: RedisStoreKeys
    let codec: RedisMessageCodec
    let topics: RedisTopicStoreTransport
    let isCluster: Bool
    /// Topics of different groups may be on different servers.
    let isSpread: Bool

    func publish(
        _ message: LayerMessage, toGroup group: GroupName, keeping options: HistoryOptions,
        completion: @escaping @Sendable (Result<PublishResult, LayerError>) -> Void
    ) {
        do throws(LayerError) {
            if self.codec.isEncrypting || (self.isSpread && options.audience != nil) {
                try self.publishInTwoSteps(message, group, options, completion)
            } else {
                try self.publishInOneStep(message, group, options, completion)
            }
        } catch {
            completion(.failure(error))
        }
    }

    private func publishInOneStep(
        _ message: LayerMessage, _ group: GroupName, _ options: HistoryOptions,
        _ completion: @escaping @Sendable (Result<PublishResult, LayerError>) -> Void
    ) throws(LayerError) {
        let bytes =
            options.keepsHistory
            ? try self.codec.encodeHead(message, withReceivers: false) : try self.codec.encode(message, at: 0)
        var command = RedisCommand(
            running: options.witness == nil ? RedisHistoryScripts.publish : RedisHistoryScripts.publishWitnessed,
            keys: 4, reserving: bytes.readableBytes + 512)
        command.append(self.keys, group, options)
        command.append(self.topics.topic(options.audience ?? group).name)
        command.append(bytes)
        command.append(options, form: self.codec.serializer.rawValue)
        command.append(self.publishCommand)
        command.append(options.witness)
        self.topics.run(command, for: group) { result in completion(result.published) }
    }

    private func publishInTwoSteps(
        _ message: LayerMessage, _ group: GroupName, _ options: HistoryOptions,
        _ completion: @escaping @Sendable (Result<PublishResult, LayerError>) -> Void
    ) throws(LayerError) {
        let bytes = try self.codec.encode(message, at: RedisClock.now())
        let command = RedisCommand.keeping(bytes, of: group, options, self.keys)
        self.topics.run(command, for: group) { result in
            guard case .success(let published) = result.published, !published.isSuppressed else {
                return completion(result.published)
            }
            self.publish(message, at: published.position, to: options.audience ?? group) { error in
                completion(error.map { .failure($0) } ?? .success(published))
            }
        }
    }

    private func publish(
        _ message: LayerMessage, at position: StreamPosition, to group: GroupName,
        _ completion: @escaping @Sendable (LayerError?) -> Void
    ) {
        do throws(LayerError) {
            let message = position.offset > 0 ? message.positioned(at: position) : message
            let payload = try self.codec.encode(message, at: RedisClock.now())
            var command = RedisCommand(reserving: payload.readableBytes + 160)
            command.append(self.publishCommand)
            command.append(self.topics.topic(group).name)
            command.append(payload)
            self.topics.run(command, for: group) { result in
                if case .failure(let error) = result { completion(error.layerError) } else { completion(nil) }
            }
        } catch {
            completion(error)
        }
    }

    private var publishCommand: StaticString { self.isCluster ? "SPUBLISH" : "PUBLISH" }
}

/// To where the topic of a group is.
struct RedisTopicStoreTransport: RedisStoreTransport {
    let transport: any RedisPubSubTransport
    let groupPrefix: String

    func topic(_ group: GroupName) -> RedisTopic { RedisTopic(group, groupPrefix: self.groupPrefix) }

    func run(
        _ command: RedisCommand, for group: GroupName,
        completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
    ) {
        self.transport.run(command, on: self.topic(group), completion: completion)
    }
}
