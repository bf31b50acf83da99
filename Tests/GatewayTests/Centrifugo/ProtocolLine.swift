import ChannelLayer
import JSON
import NIOCore
import Testing

@testable import Gateway

/// A connection of the protocol, and what it did as one text per action.
struct ProtocolLine {
    var machine: ClientProtocol
    private let runs = WrittenRuns()

    init(isUnidirectional: Bool = false, _ change: (inout ClientProtocol.Rules) -> Void = { _ in }) {
        var rules = ClientProtocol.Rules()
        rules.allowsAnonymous = true
        var open = ChannelOptions()
        open.allowSubscribeForClient = true
        open.allowSubscribeForAnonymous = true
        open.publishing.forSubscriber = true
        var users = ChannelOptions()
        users.allowSubscribeForClient = true
        users.allowUserLimitedChannels = true
        users.publishing.forClient = true
        var kept = open
        kept.historySize = 10
        kept.historyTime = 60
        kept.historyMetaTime = 600
        kept.presence = true
        kept.joinLeave = true
        kept.forceRecovery = true
        kept.presenceAccess.forSubscriber = true
        kept.historyAccess.forSubscriber = true
        var cache = kept
        cache.recoveryMode = .cache
        cache.autoCacheRecover = true
        rules.namespaces = ChannelNamespaces(
            withoutNamespace: open,
            [("users", users), ("closed", ChannelOptions()), ("kept", kept), ("cache", cache)])
        change(&rules)
        var transport = ClientTransport()
        if isUnidirectional { transport.path = .unidirectionalEventStream }
        self.machine = ClientProtocol(rules: rules, client: "c-1", transport: transport)
    }

    /// Past `connect`, with a user's token if there is one.
    static func connected(
        _ credentials: ClientCredentials? = nil, _ change: (inout ClientProtocol.Rules) -> Void = { _ in }
    ) throws -> ProtocolLine {
        var line = ProtocolLine(change)
        if let credentials {
            _ = try line.say(#"{"id":1,"connect":{"token":"t"}}"#)
            _ = line.verified(credentials)
        } else {
            _ = try line.say(#"{"id":1,"connect":{}}"#)
        }
        #expect(line.machine.isConnected)
        return line
    }

    mutating func say(_ text: String) throws -> [String] {
        self.done(self.machine.handle(try ClientCommand(decoding: ByteBuffer(string: text))))
    }

    mutating func verified(_ credentials: ClientCredentials) -> [String] {
        self.done(self.machine.verified(.success(credentials), now: 100))
    }

    mutating func verified(_ fault: ClientCredentials.Fault, now: Int64 = 100) -> [String] {
        self.done(self.machine.verified(.failure(fault), now: now))
    }

    /// What the application answers, as JSON.
    mutating func answered(
        _ event: ProxyEvent, _ answer: String, in channel: String = "", now: Int64 = 100
    ) -> [String] {
        self.failed(event, ProxyAnswer(reading: ByteBuffer(string: answer)), in: channel, now: now)
    }

    mutating func failed(
        _ event: ProxyEvent, _ answer: ProxyAnswer, in channel: String = "", now: Int64 = 100
    ) -> [String] {
        self.done(self.machine.answered(event, channel: channel, answer, now: now))
    }

    /// What has to be done for subscriptions that have begun.
    private(set) var openings: [ClientOpening] = []

    /// The next of them is open, or failed.
    mutating func opened(_ result: Result<HistoryPage?, LayerError> = .success(nil), now: Int64 = 100) throws
        -> [String]
    {
        let opening = try #require(self.openings.first)
        self.openings.removeFirst()
        return self.done(self.machine.opened(opening, result, runs: self.runs, now: now))
    }

    /// Says that a subscription has begun, after asking for it.
    mutating func subscribe(_ channel: String, _ page: HistoryPage? = nil) throws -> [String] {
        let asked = try self.say(#"{"id":2,"subscribe":{"channel":"\#(channel)"}}"#)
        guard asked.first?.hasPrefix("open ") == true else { return asked }
        return try self.opened(.success(page))
    }

    private static func json(_ reply: ClientReply) -> String {
        var frame = ByteBuffer()
        ClientCodec.json.write(reply, to: &frame)
        return String(buffer: frame)
    }

    private static func json(_ push: ClientPush) -> String {
        var frame = ByteBuffer()
        ClientCodec.json.write(push, isBare: true, to: &frame)
        return String(buffer: frame)
    }

    mutating func done(_ actions: [ClientProtocol.Action]) -> [String] {
        actions.map { action in
            if case .open(let opening) = action { self.openings.append(opening) }
            return Self.text(action)
        }
    }

    private static func text(_ action: ClientProtocol.Action) -> String {
        switch action {
        case .reply(let reply): Self.json(reply)
        case .push(let push): "push " + Self.json(push)
        case .verify(let token): "verify \(token)"
        case .verifySubscription(let token): "verify subscription \(token)"
        case .ask(let event, let details, let choice):
            ([
                "ask", event.rawValue, choice == .own ? "" : "at \(choice.name)", details.channel, details.method,
                details.token, details.name,
            ]
                + [details.data.map { String(buffer: $0.json) } ?? ""] + details.channels)
                .filter { !$0.isEmpty }.joined(separator: " ")
        case .connected(let user): "connected \(user)"
        case .replaceOthers(let channel): "replace \(channel.text)"
        case .open(let opening): "open \(opening.channel.text) \(opening.namespace) \(Self.text(opening.wanted))"
        case .close(let channel): "close \(channel.text)"
        case .removePresence(let channel): "gone \(channel.text)"
        case .announce(let joins, let channel, let info): "\(joins ? "join" : "leave") \(channel.text) \(info.user)"
        case .publish(let channel, _, let data, let publisher):
            "publish \(channel.text) \(String(buffer: data.json)) \(publisher.user) \(publisher.client)"
                + (publisher.connection.map { " " + String(buffer: $0.json) } ?? "")
        case .publishDecided(let channel, _, let data, let publisher, let result):
            "publish \(channel.text) \(String(buffer: data.json)) \(publisher.user)"
                + (result.skipsHistory ? " unkept" : "") + (result.tags.isEmpty ? "" : " tagged")
        case .readPresence(let channel): "presence \(channel.text)"
        case .readPresenceStats(let channel): "stats \(channel.text)"
        case .readHistory(let channel, let query):
            "history \(channel.text) \(query.limit)\(query.isReverse ? " reverse" : "")"
        case .tellLater(let channel): "later \(channel)"
        case .skipRestOfFrame: "skip"
        case .disconnect(let reason): "end \(reason.rawValue)"
        }
    }

    private static func text(_ wanted: ClientOpening.Wanted) -> String {
        switch wanted {
        case .nothing: "nothing"
        case .position: "position"
        case .publications(let since): "since \(since.offset) \(since.epoch)"
        case .newest: "newest"
        }
    }

    /// A stream's publications with the numbers of `offsets` as data.
    static func page(_ offsets: ClosedRange<UInt64>?, top: UInt64, epoch: String = "e") -> HistoryPage {
        HistoryPage(
            publications: (offsets.map { Array($0) } ?? []).map { offset in
                StoredPublication(
                    offset: offset,
                    message: LayerMessage.publication(.int(Int64(offset)))
                        .positioned(at: StreamPosition(offset: offset, epoch: epoch)))
            }, top: StreamPosition(offset: top, epoch: epoch))
    }
}
