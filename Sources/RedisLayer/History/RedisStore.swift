import ChannelLayer
import Logging
import NIOCore
import Synchronization

/// How a `RedisStore` reaches the server that keeps a group.
protocol RedisStoreTransport: Sendable {
    /// Sends a command to where the group's keys are. From any thread; `completion` is called once, on any thread.
    func run(
        _ command: RedisCommand, for group: GroupName,
        completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void)
}

/// How publications of a `RedisStore` are kept and sent.
protocol RedisStorePublisher: Sendable {
    /// As `GroupStore` has it.
    func publish(
        _ message: LayerMessage, toGroup group: GroupName, keeping options: HistoryOptions,
        completion: @escaping @Sendable (Result<PublishResult, LayerError>) -> Void)
}

/// Histories and presence as both Redis layers keep them. What is published goes each layer's own way. Histories are in
/// streams on the group's host.
final class RedisStore: GroupStore {
    private let keys: RedisStoreKeys
    private let codec: RedisMessageCodec
    private let publisher: any RedisStorePublisher
    private let transport: any RedisStoreTransport
    private let present: RedisPresenceKeeper
    private let isOver = Mutex(false)

    init(
        _ keys: RedisStoreKeys, codec: RedisMessageCodec, presenceExpiry: Duration,
        publisher: any RedisStorePublisher, transport: any RedisStoreTransport, eventLoop: any EventLoop
    ) {
        self.keys = keys
        self.codec = codec
        self.publisher = publisher
        self.transport = transport
        self.present = RedisPresenceKeeper(
            keys, life: presenceExpiry.wholeMilliseconds, transport: transport, eventLoop: eventLoop)
    }

    /// Why nothing can be done for a group.
    private func refusal(of group: GroupName) -> LayerError? {
        self.isOver.withLock { $0 } ? RedisLayer.closed : self.keys.refusal(of: group)
    }

    /// Sends a command; what its answer says is made by `parse`, which gives `nil` for no answer of that script.
    private func ask<Answer: Sendable>(
        _ group: GroupName, _ command: RedisCommand,
        _ completion: @escaping @Sendable (Result<Answer, LayerError>) -> Void,
        parse: @escaping @Sendable (RedisReply) -> Answer?
    ) {
        if let error = self.refusal(of: group) { return completion(.failure(error)) }
        self.transport.run(command, for: group) { result in
            switch result {
            case .failure(let error): completion(.failure(error.layerError))
            case .success(let reply): completion(parse(reply).map { .success($0) } ?? .failure(Self.unexpected))
            }
        }
    }

    static let unexpected = LayerError(.refused, "Redis answered a script with something else than it returns")

    // MARK: History

    func publish(
        _ message: LayerMessage, toGroup group: GroupName, keeping options: HistoryOptions,
        completion: @escaping @Sendable (Result<PublishResult, LayerError>) -> Void
    ) {
        if let error = self.refusal(of: group) { return completion(.failure(error)) }
        self.publisher.publish(message, toGroup: group, keeping: options, completion: completion)
    }

    func readHistory(
        of group: GroupName, _ query: HistoryQuery,
        completion: @escaping @Sendable (Result<HistoryPage, LayerError>) -> Void
    ) {
        var command = RedisCommand(running: RedisHistoryScripts.read, keys: 2, reserving: 320)
        command.append(self.keys.history(group))
        command.append(self.keys.position(group))
        command.append(HistoryState.randomEpoch())
        let life = query.metaTimeToLive.wholeMilliseconds
        command.append(life)
        // Anybody may ask for anything: what nobody publishes to is forgotten sooner.
        command.append(min(life, 3_600_000))
        command.append(query.since?.epoch ?? "")
        command.append(query)
        self.ask(group, command, completion) { [codec] in codec.page($0) }
    }

    func removeHistory(of group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void) {
        var command = RedisCommand("DEL")
        command.append(self.keys.history(group))
        self.ask(
            group, command, { (result: Result<Bool, LayerError>) in completion(result.error) }, parse: { _ in true })
    }

    // MARK: Presence

    func addPresence(
        _ presence: Presence, in group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void
    ) {
        if let error = self.refusal(of: group) { return completion(error) }
        self.present.add(presence, in: group, completion: completion)
    }

    func removePresence(
        of client: String, in group: GroupName, completion: @escaping @Sendable (LayerError?) -> Void
    ) {
        if let error = self.refusal(of: group) { return completion(error) }
        self.present.remove(client, from: group, completion: completion)
    }

    func handOverPresence(of client: String, in group: GroupName) { self.present.forget(client, in: group) }

    func readPresence(
        of group: GroupName, completion: @escaping @Sendable (Result<[Presence], LayerError>) -> Void
    ) {
        let command = self.keys.presenceCommand(RedisPresenceScripts.list, group)
        self.ask(group, command, completion) { reply in
            guard let fields = reply.array else { return nil }
            return stride(from: 0, to: fields.count - 1, by: 2).compactMap { Presence(fields[$0], fields[$0 + 1]) }
        }
    }

    func readPresenceStats(
        of group: GroupName, completion: @escaping @Sendable (Result<PresenceStats, LayerError>) -> Void
    ) {
        let command = self.keys.presenceCommand(RedisPresenceScripts.stats, group)
        self.ask(group, command, completion) { reply in
            guard let counts = reply.array, counts.count == 2, let clients = counts[0].integer,
                let users = counts[1].integer
            else { return nil }
            return PresenceStats(clients: Int(clamping: clients), users: Int(clamping: users))
        }
    }

    /// Says all presence anew: Redis may have lost it.
    func renewPresence() { self.present.renewAll() }

    /// Keeps nothing more, and renews nothing.
    func close() {
        self.isOver.withLock { $0 = true }
        self.present.close()
    }
}

extension RedisStoreKeys {
    func presenceCommand(_ script: RedisScript, _ group: GroupName, reserving bytes: Int = 256) -> RedisCommand {
        var command = RedisCommand(running: script, keys: 3, reserving: bytes)
        command.append(self.present(group))
        command.append(self.renewed(group))
        command.append(self.users(group))
        return command
    }
}

extension Presence {
    /// As `RedisPresenceScripts.list` gives it.
    fileprivate init?(_ client: RedisReply, _ value: RedisReply) {
        guard let client = client.text, var bytes = value.bulk,
            let colon = bytes.readableBytesView.firstIndex(of: UInt8(ascii: ":")),
            let length = bytes.readString(length: colon - bytes.readerIndex).flatMap({ Int($0) }), length >= 0,
            bytes.readString(length: 1) != nil, let user = bytes.readString(length: length)
        else { return nil }
        self.init(client: client, user: user, info: bytes)
    }
}

extension Result where Failure == LayerError {
    var error: LayerError? { if case .failure(let error) = self { error } else { nil } }
}

extension Duration {
    /// Milliseconds, at least one: Redis refuses a life of nothing; and not more than 31 years.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = self.components
        return max(1, min(seconds, 1_000_000_000) * 1_000 + attoseconds / 1_000_000_000_000_000)
    }
}
