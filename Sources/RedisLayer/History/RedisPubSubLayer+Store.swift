public import ChannelLayer
import NIOCore

/// Histories are in streams on the server of the group's topic; one script keeps a publication and publishes it.
///
/// With `symmetric_encryption_keys` no script can write a position into a message. Then it is kept first and published when
/// the answer is there: still in order for one process, but publications of two may be heard in another order than they are
/// kept in, and one whose process dies in between is kept and not heard. Whoever watches offsets finds it in the history.
extension RedisPubSubLayer: GroupStore {
    public var store: (any GroupStore)? { self }

    public func publish(
        _ message: LayerMessage, toGroup group: GroupName, keeping options: HistoryOptions,
        completion: @escaping @Sendable (Result<PublishResult, LayerError>) -> Void
    ) {
        if let error = self.kept.refusal(of: group) { return completion(.failure(error)) }
        do throws(LayerError) {
            if self.codec.isEncrypting {
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
            running: RedisHistoryScripts.publish, keys: 4, reserving: bytes.readableBytes + 512)
        command.append(self.kept.keys, group, options)
        command.append(self.topic(group).name)
        command.append(bytes)
        command.append(options, form: self.codec.serializer.rawValue)
        command.append(self.publishCommand)
        self.transport.run(command, on: self.topic(group)) { result in completion(result.published) }
    }

    private func publishInTwoSteps(
        _ message: LayerMessage, _ group: GroupName, _ options: HistoryOptions,
        _ completion: @escaping @Sendable (Result<PublishResult, LayerError>) -> Void
    ) throws(LayerError) {
        let bytes = try self.codec.encode(message, at: RedisClock.now())
        let command = RedisCommand.keeping(bytes, of: group, options, self.kept.keys)
        self.transport.run(command, on: self.topic(group)) { result in
            guard case .success(let published) = result.published, !published.isSuppressed else {
                return completion(result.published)
            }
            self.publish(message, at: published.position, to: group) { error in
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
            command.append(self.topic(group).name)
            command.append(payload)
            self.transport.run(command, on: self.topic(group)) { result in
                if case .failure(let error) = result { completion(error.layerError) } else { completion(nil) }
            }
        } catch {
            completion(error)
        }
    }

    private var publishCommand: StaticString { self.isCluster ? "SPUBLISH" : "PUBLISH" }

    // MARK: The rest is as in the other layer

    public func readHistory(
        of group: GroupName, _ query: HistoryQuery,
        completion: @escaping @Sendable (Result<HistoryPage, LayerError>) -> Void
    ) {
        self.kept.readHistory(of: group, query, completion: completion)
    }

    public func removeHistory(of group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void) {
        self.kept.removeHistory(of: group, completion: completion)
    }

    public func addPresence(
        _ presence: Presence, in group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void
    ) {
        self.kept.addPresence(presence, in: group, completion: completion)
    }

    public func removePresence(
        of client: String, in group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void
    ) {
        self.kept.removePresence(of: client, in: group, completion: completion)
    }

    public func readPresence(
        of group: GroupName, completion: @escaping @Sendable (Result<[Presence], LayerError>) -> Void
    ) {
        self.kept.readPresence(of: group, completion: completion)
    }

    public func readPresenceStats(
        of group: GroupName, completion: @escaping @Sendable (Result<PresenceStats, LayerError>) -> Void
    ) {
        self.kept.readPresenceStats(of: group, completion: completion)
    }
}

/// To where the topic of a group is.
struct RedisTopicStoreTransport: RedisStoreTransport {
    let transport: any RedisPubSubTransport
    let groupPrefix: String

    func run(
        _ command: RedisCommand, for group: GroupName,
        completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
    ) {
        self.transport.run(command, on: RedisTopic(group, groupPrefix: self.groupPrefix), completion: completion)
    }
}
