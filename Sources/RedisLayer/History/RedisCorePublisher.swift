import ChannelLayer
import NIOCore

/// Publications of the layer that is a peer of `channels_redis.core`: one script keeps one and puts it into the members'
/// mailboxes.
///
/// Where one script cannot do that, it is kept first, and sent when the answer is there: with several hosts, with
/// `symmetric_encryption_keys`, and with `channel_capacity`. Then publications of two processes may be heard in another
/// order than they are kept in, and one whose process dies in between is kept and not heard. Whoever watches offsets finds
/// it in the history.
struct RedisCorePublisher: RedisStorePublisher {
    let core: RedisLayerCore
    let queue: RedisSendQueue

    func publish(
        _ message: LayerMessage, toGroup group: GroupName, keeping options: HistoryOptions,
        completion: @escaping @Sendable (Result<PublishResult, LayerError>) -> Void
    ) {
        let (now, codec) = (self.core.now(), self.core.codec)
        do throws(LayerError) {
            let bytes: ByteBuffer
            if !self.core.configuration.allowsOneStep {
                bytes = try codec.encode(message, at: now)
            } else if options.keepsHistory {
                bytes = try codec.encodeHead(message, withReceivers: true)
            } else {
                bytes = try codec.encodeOpen(message)
            }
            // The way of all messages, so that one sender's stay in order.
            let outgoing = RedisOutgoing(
                target: .publication(group), bytes: bytes, score: now, completion: nil,
                publication: RedisPublication(message: message, options: options, completion: completion))
            switch self.queue.offer(outgoing) {
            case .first: self.core.eventLoop.execute { [core = self.core] in core.sendWaiting() }
            case .more: break
            case .refused(let error): throw error
            }
        } catch {
            completion(.failure(error))
        }
    }
}

/// A publication on its way to Redis.
struct RedisPublication: Sendable {
    let message: LayerMessage
    let options: HistoryOptions
    let completion: @Sendable (Result<PublishResult, LayerError>) -> Void
}

// MARK: - On the event loop

extension RedisLayerCore: RedisStoreTransport {
    func run(
        _ command: RedisCommand, for group: GroupName,
        completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
    ) {
        self.shard(of: group).commands.send(command, completion: completion)
    }

    var storeKeys: RedisStoreKeys { RedisStoreKeys(prefix: self.configuration.prefix, topicPrefix: nil) }

    func publish(_ outgoing: RedisOutgoing, _ publication: RedisPublication, to group: GroupName) {
        if self.configuration.allowsOneStep {
            self.publishInOneStep(outgoing, publication, to: group)
        } else {
            self.publishInTwoSteps(outgoing, publication, to: group)
        }
    }

    private func publishInOneStep(_ outgoing: RedisOutgoing, _ publication: RedisPublication, to group: GroupName) {
        let options = publication.options
        var command = RedisCommand(
            running: options.witness == nil
                ? RedisHistoryScripts.sendToGroup : RedisHistoryScripts.sendWitnessedToGroup,
            keys: 4, reserving: outgoing.bytes.readableBytes + 640)
        command.append(self.storeKeys, group, options)
        command.append(self.keys.members(of: options.audience ?? group))
        command.append(outgoing.bytes)
        command.append(options, form: self.configuration.serializer.rawValue)
        command.append(self.keys.prefix)
        command.append(self.expiredMembershipScore)
        command.append(self.expiredScore)
        command.append(self.configuration.expirySeconds)
        command.append(self.configuration.limits.capacity)
        command.append(RedisLayerConfiguration.gatewayMark)
        command.append(self.configuration.gatewayCapacity)
        command.append(outgoing.score)
        command.append(options.witness)
        self.shard(of: group).commands.send(command) { result in
            if case .success(let reply) = result, let parts = reply.array, parts.count > 3 {
                self.count(DepositCounts(.array(Array(parts[3...]))), in: options.audience ?? group, of: 1)
            }
            publication.completion(result.published)
        }
    }

    private func publishInTwoSteps(_ outgoing: RedisOutgoing, _ publication: RedisPublication, to group: GroupName) {
        let audience = publication.options.audience ?? group
        let command = RedisCommand.keeping(outgoing.bytes, of: group, publication.options, self.storeKeys)
        self.shard(of: group).commands.send(command) { result in
            guard case .success(let published) = result.published, !published.isSuppressed else {
                return publication.completion(result.published)
            }
            let position = published.position
            let message = position.offset > 0 ? publication.message.positioned(at: position) : publication.message
            do throws(LayerError) {
                let sent = RedisOutgoing(
                    target: .group(audience), bytes: try self.codec.encodeOpen(message), score: outgoing.score
                ) { error in publication.completion(error.map { .failure($0) } ?? .success(published)) }
                self.send([sent], to: audience)
            } catch {
                publication.completion(.failure(error))
            }
        }
    }
}
