import ChannelLayer
import NIOCore

extension RedisCommand {
    /// The arguments 5 to 8 of `RedisHistoryScripts.read`.
    mutating func append(_ query: HistoryQuery) {
        // Nothing is before the first, or after the last that there can be.
        let isEmpty = query.limit == 0 || query.since?.offset == (query.isReverse ? 0 : .max)
        guard !isEmpty else {
            for _ in 0..<4 { self.append("" as StaticString) }
            return
        }
        if query.isReverse {
            self.append("XREVRANGE" as StaticString)
            self.append(query.since.map { String($0.offset - 1) } ?? "+")
            self.append("-" as StaticString)
        } else {
            self.append("XRANGE" as StaticString)
            self.append(query.since.map { String($0.offset + 1) } ?? "-")
            self.append("+" as StaticString)
        }
        self.append(query.limit < 0 ? "" : String(query.limit))
    }

    /// The keys of the scripts that publish, but for the fourth.
    mutating func append(_ keys: RedisStoreKeys, _ group: GroupName, _ options: HistoryOptions) {
        self.append(keys.history(group))
        self.append(keys.position(group))
        self.append(options.idempotencyKey.map { keys.once(group, $0) } ?? keys.position(group))
    }

    /// The arguments 2 to 9 of the scripts that publish.
    ///
    /// - Parameter form: how the script writes the position.
    mutating func append(_ options: HistoryOptions, form: String) {
        self.append(HistoryState.randomEpoch())
        self.append(options.keepsHistory ? options.size : 0)
        self.append(options.timeToLive.wholeMilliseconds)
        self.append(max(options.timeToLive, options.metaTimeToLive).wholeMilliseconds)
        self.append(options.idempotencyKey == nil ? 0 : options.idempotencyTimeToLive.wholeMilliseconds)
        // Of one length, so that texts compare as the numbers do: Lua's own end at 2^53.
        let version = options.keepsHistory && options.version > 0 ? String(options.version) : ""
        self.append(version.isEmpty ? "" : String(repeating: "0", count: 20 - version.count) + version)
        self.append(options.versionEpoch)
        self.append(form)
    }

    /// The last arguments of the scripts for witnesses; nothing without one.
    mutating func append(_ witness: Witness?) {
        guard let witness else { return }
        self.append(witness.name)
        self.append(String(witness.number))
    }
}

extension RedisCommand {
    /// Keeps a message that says no position, and does not send it.
    ///
    /// - Parameter bytes: the whole message, as it is read from the history.
    static func keeping(
        _ bytes: ByteBuffer, of group: GroupName, _ options: HistoryOptions, _ keys: RedisStoreKeys
    ) -> RedisCommand {
        let script = options.witness == nil ? RedisHistoryScripts.keep : RedisHistoryScripts.keepWitnessed
        var command = RedisCommand(running: script, keys: 3, reserving: bytes.readableBytes + 448)
        command.append(keys, group, options)
        command.append(bytes)
        command.append(options, form: "whole")
        command.append(options.witness)
        return command
    }
}

extension Result<RedisReply, RedisError> {
    /// What the scripts that publish answer.
    var published: Result<PublishResult, LayerError> {
        switch self {
        case .failure(let error): .failure(error.layerError)
        case .success(let reply): PublishResult(reply).map { .success($0) } ?? .failure(RedisStore.unexpected)
        }
    }
}

extension PublishResult {
    /// What the scripts that publish answer.
    init?(_ reply: RedisReply) {
        guard let parts = reply.array, parts.count >= 3, let offset = parts[0].text.flatMap({ UInt64($0) }),
            let epoch = parts[1].text
        else { return nil }
        let suppression: Suppression? =
            switch parts[2].text {
            case "key": .idempotencyKey
            case "version": .version
            default: nil
            }
        self.init(position: StreamPosition(offset: offset, epoch: epoch), suppression: suppression)
    }
}

extension RedisMessageCodec {
    /// What `RedisHistoryScripts.read` answers. What cannot be read is left out, which the gap in the offsets tells.
    func page(_ reply: RedisReply) -> HistoryPage? {
        guard let parts = reply.array, parts.count == 3, let offset = parts[0].text.flatMap({ UInt64($0) }),
            let epoch = parts[1].text, let entries = parts[2].array
        else { return nil }
        return HistoryPage(
            publications: entries.compactMap { self.publication($0, epoch: epoch) },
            top: StreamPosition(offset: offset, epoch: epoch))
    }

    /// An entry of a stream: its id, and the fields with their values in turn.
    private func publication(_ entry: RedisReply, epoch: String) -> StoredPublication? {
        guard let parts = entry.array, parts.count == 2, let id = parts[0].text, let fields = parts[1].array,
            fields.count >= 2, let offset = UInt64(id.prefix { $0 != "-" }), let bytes = fields[1].bulk,
            let message = try? self.decode(bytes).message
        else { return nil }
        let position = StreamPosition(offset: offset, epoch: epoch)
        return StoredPublication(
            offset: offset, message: message.position == position ? message : message.positioned(at: position))
    }
}
