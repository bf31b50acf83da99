import ChannelLayer
import NIOCore

/// What stands in the log, of which each process makes the same histories.
///
/// As bytes it is a MessagePack map with short keys: `p` process, `n` number, `t` time, `k` kind, `g` group, and what the
/// kind needs.
struct LogEntry: Equatable {
    enum Kind: Equatable {
        /// A process begins to read: whoever is there says who is present with him.
        case hello
        /// A process is there still.
        case alive
        case publication(LayerMessage, HistoryOptions, LogBeginning)
        /// Somebody asks for a position: the group has one from now on.
        case look(LogBeginning, timeToLive: Duration)
        case removal
        /// Clients of the process, said anew or for the first time.
        case present([Presence])
        case absent(client: String)
    }

    var process: String
    /// Of the process's entries, in their order.
    var number: UInt64
    /// Milliseconds since 1970, by the process's clock.
    var time: Int64
    /// Empty where none is meant.
    var group = ""
    var kind: Kind

    /// Who hears what is published.
    var audience: GroupName? {
        guard case .publication(_, let options, _) = self.kind else { return nil }
        return options.audience ?? GroupName(unchecked: self.group)
    }
}

/// How a stream begins for who does not know it.
struct LogBeginning: Equatable {
    /// The epoch of a stream that is new.
    var epoch: String
    /// What the writer knew when he had read up to a place in the log: a reader whose log begins behind the stream's own
    /// beginning goes on from there, if he has read everything since that place.
    var known: Known?

    struct Known: Equatable {
        var position: StreamPosition
        /// Offset in the log of the last entry that the writer had read.
        var place: UInt64
    }
}

// MARK: - Writing

extension LogEntry {
    /// - Throws: `invalidMessage` for what MessagePack cannot carry, and for more than a broker takes.
    func encoded() throws(LayerError) -> ByteBuffer {
        var message: LayerMessage = [
            "p": .string(self.process), "n": .uint(self.number), "t": .int(self.time), "g": .string(self.group),
        ]
        func add(_ key: String, _ value: LayerValue) {
            message.entries.append(.init(key: .string(key), value: value))
        }
        switch self.kind {
        case .hello: add("k", .string("hello"))
        case .alive: add("k", .string("alive"))
        case .removal: add("k", .string("removal"))
        case .publication(let publication, let options, let beginning):
            add("k", .string("publication"))
            add("m", .map(publication.entries))
            add("o", options.value)
            add("b", beginning.value)
        case .look(let beginning, let timeToLive):
            add("k", .string("look"))
            add("b", beginning.value)
            add("l", .int(timeToLive.milliseconds))
        case .present(let clients):
            add("k", .string("present"))
            add("c", .array(clients.map { .array([.string($0.client), .string($0.user), .bytes($0.info)]) }))
        case .absent(let client):
            add("k", .string("absent"))
            add("c", .string(client))
        }
        var body = ByteBuffer()
        try message.encodeMessagePack(into: &body)
        guard body.readableBytes <= RabbitMQConfiguration.messageLimit else {
            throw LayerError(
                .invalidMessage,
                "the message has \(body.readableBytes) bytes; RabbitMQ carries \(RabbitMQConfiguration.messageLimit)")
        }
        return body
    }
}

extension HistoryOptions {
    fileprivate var value: LayerValue {
        .array([
            .int(Int64(self.size)), .int(self.timeToLive.milliseconds), .int(self.metaTimeToLive.milliseconds),
            self.idempotencyKey.map { .string($0) } ?? .null, .int(self.idempotencyTimeToLive.milliseconds),
            .uint(self.version), .string(self.versionEpoch),
            self.witness.map { .array([.string($0.name), .uint($0.number)]) } ?? .null,
            self.audience.map { .string($0.text) } ?? .null,
        ])
    }
}

extension LogBeginning {
    fileprivate var value: LayerValue {
        guard let known = self.known else { return .array([.string(self.epoch)]) }
        return .array([
            .string(self.epoch), .string(known.position.epoch), .uint(known.position.offset), .uint(known.place),
        ])
    }
}

extension Duration {
    /// Whole milliseconds, at most 31 years.
    var milliseconds: Int64 {
        let (seconds, attoseconds) = self.components
        return max(0, min(seconds, 1_000_000_000)) * 1_000 + max(0, attoseconds) / 1_000_000_000_000_000
    }
}

// MARK: - Reading

extension LogEntry {
    /// `nil` for what is no entry: anybody may write to a queue.
    init?(_ body: ByteBuffer) {
        guard let message = try? LayerMessage(messagePack: body), let process = message["p"]?.text,
            let number = message["n"]?.unsigned, let time = message["t"]?.signed, let group = message["g"]?.text,
            let kind = Kind(message)
        else { return nil }
        self.init(process: process, number: number, time: time, group: group, kind: kind)
    }
}

extension LogEntry.Kind {
    fileprivate init?(_ message: LayerMessage) {
        switch message["k"]?.text {
        case "hello": self = .hello
        case "alive": self = .alive
        case "removal": self = .removal
        case "publication":
            guard case .map(let entries)? = message["m"], let options = message["o"].flatMap(HistoryOptions.init),
                let beginning = message["b"].flatMap(LogBeginning.init)
            else { return nil }
            self = .publication(LayerMessage(entries: entries), options, beginning)
        case "look":
            guard let beginning = message["b"].flatMap(LogBeginning.init), let life = message["l"]?.signed else {
                return nil
            }
            self = .look(beginning, timeToLive: .milliseconds(life))
        case "present":
            guard case .array(let clients)? = message["c"] else { return nil }
            self = .present(clients.compactMap(Presence.init))
        case "absent":
            guard let client = message["c"]?.text else { return nil }
            self = .absent(client: client)
        default: return nil
        }
    }
}

extension HistoryOptions {
    fileprivate init?(_ value: LayerValue) {
        guard case .array(let parts) = value, parts.count == 9, let size = parts[0].signed, let life = parts[1].signed,
            let metaLife = parts[2].signed, let keyLife = parts[4].signed, let version = parts[5].unsigned,
            let versionEpoch = parts[6].text
        else { return nil }
        self.init(
            size: Int(clamping: size), timeToLive: .milliseconds(life), metaTimeToLive: .milliseconds(metaLife),
            idempotencyKey: parts[3].text, idempotencyTimeToLive: .milliseconds(keyLife), version: version,
            versionEpoch: versionEpoch)
        self.audience = parts[8].text.map { GroupName(unchecked: $0) }
        guard case .array(let witness) = parts[7], witness.count == 2, let name = witness[0].text,
            let number = witness[1].unsigned
        else { return }
        self.witness = Witness(name: name, number: number)
    }
}

extension LogBeginning {
    fileprivate init?(_ value: LayerValue) {
        guard case .array(let parts) = value, let epoch = parts.first?.text else { return nil }
        self.init(epoch: epoch)
        guard parts.count == 4, let knownEpoch = parts[1].text, let offset = parts[2].unsigned,
            let place = parts[3].unsigned
        else { return }
        self.known = Known(position: StreamPosition(offset: offset, epoch: knownEpoch), place: place)
    }
}

extension Presence {
    fileprivate init?(_ value: LayerValue) {
        guard case .array(let parts) = value, parts.count == 3, let client = parts[0].text, let user = parts[1].text,
            case .bytes(let info) = parts[2]
        else { return nil }
        // A copy: the entry may hold many, and be long gone before this one is.
        self.init(client: client, user: user, info: ByteBuffer(bytes: info.readableBytesView))
    }
}

extension LayerValue {
    fileprivate var text: String? { if case .string(let text) = self { text } else { nil } }

    fileprivate var signed: Int64? { if case .int(let value) = self { value } else { nil } }

    fileprivate var unsigned: UInt64? {
        switch self {
        case .int(let value): UInt64(exactly: value)
        case .uint(let value): value
        default: nil
        }
    }
}
