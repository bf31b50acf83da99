import NIOCore

/// What one connection is subscribed to, and what it should be: a value without I/O.
///
/// Confirmations come in the order of the commands, one for each name; an error answers a whole command. So the commands
/// that were sent are kept until all their confirmations came. A name is confirmed when no `SUBSCRIBE` for it is on its
/// way: one that was given up and taken again in between is not confirmed by the answer to the first.
struct RedisSubscriptions {
    typealias Ready = @Sendable (RedisError?) -> Void

    /// A command that is to be sent, or was.
    struct Request: Equatable {
        enum Kind: Equatable { case subscribe, unsubscribe, ping }
        let kind: Kind
        var names: [ByteBuffer]
        /// Confirmations still to come.
        var missing: Int

        init(_ kind: Kind, _ names: [ByteBuffer]) {
            self.kind = kind
            self.names = names
            self.missing = max(1, names.count)
        }
    }

    private struct Entry {
        var topic: RedisTopic
        var isWanted = true
        /// `SUBSCRIBE`s for the name that are to be sent or were sent, and are not confirmed.
        var unconfirmed = 0
        var isConfirmed = false
        var waiters: [Ready] = []
    }

    private var entries: [ByteBuffer: Entry] = [:] { didSet { self.lastTopic = nil } }
    /// What the last message was for: the next one is often for the same.
    private var lastTopic: RedisTopic?
    private var lastName = ByteBuffer()
    /// Wanted names that are not confirmed.
    private(set) var missing = 0
    private var unsent: [Request] = []
    private var sent = CircularBuffer<Request>()
    private var isConnected = false

    /// Names in one command.
    private let batch: Int

    init(batch: Int = 500) { self.batch = batch }

    /// The topic that messages of a name are for; `nil` when they are not wanted (any more).
    mutating func topic(_ name: ByteBuffer) -> RedisTopic? {
        if let topic = self.lastTopic, self.lastName == name { return topic }
        // The entry's own name, because the other is only lent.
        guard let place = self.entries.index(forKey: name), self.entries[place].value.isWanted else { return nil }
        let topic = self.entries[place].value.topic
        (self.lastTopic, self.lastName) = (topic, self.entries[place].key)
        return topic
    }

    /// All that is wanted.
    var topics: [RedisTopic] { self.entries.values.filter(\.isWanted).map(\.topic) }

    // MARK: Wishes

    /// - Returns: whom to tell at once that it is confirmed already.
    mutating func subscribe(_ topic: RedisTopic, _ ready: @escaping Ready) -> Ready? {
        let name = ByteBuffer(string: topic.name)
        var entry = self.entries[name] ?? Entry(topic: topic, isWanted: false)
        if entry.isConfirmed, entry.isWanted { return ready }
        entry.waiters.append(ready)
        if !entry.isWanted || self.entries[name] == nil {
            entry.isWanted = true
            entry.topic = topic
            self.missing += 1
            if self.isConnected {
                entry.unconfirmed += 1
                self.add(.subscribe, name)
            }
        }
        self.entries[name] = entry
        return nil
    }

    /// - Returns: whom to tell that it will not be.
    mutating func unsubscribe(_ topic: RedisTopic) -> [Ready] {
        let name = ByteBuffer(string: topic.name)
        guard var entry = self.entries[name], entry.isWanted else { return [] }
        if !entry.isConfirmed { self.missing -= 1 }
        let waiters = entry.waiters
        entry.waiters = []
        entry.isWanted = false
        entry.isConfirmed = false
        self.entries[name] = entry.unconfirmed > 0 ? entry : nil
        if self.isConnected { self.add(.unsubscribe, name) }
        return waiters
    }

    private mutating func add(_ kind: Request.Kind, _ name: ByteBuffer) {
        if let last = self.unsent.indices.last, self.unsent[last].kind == kind,
            self.unsent[last].names.count < self.batch
        {
            self.unsent[last].names.append(name)
            self.unsent[last].missing += 1
        } else {
            self.unsent.append(Request(kind, [name]))
        }
    }

    /// What is to be sent now, in order.
    mutating func takeUnsent() -> [Request] {
        let requests = self.unsent
        self.unsent = []
        self.sent.append(contentsOf: requests)
        return requests
    }

    /// A question whether the server is there.
    mutating func addPing() { self.unsent.append(Request(.ping, [])) }

    /// Whether a question is not answered yet.
    var isPinging: Bool { self.sent.contains { $0.kind == .ping } }

    // MARK: The connection

    /// There is a connection that is subscribed to nothing: everything is wanted of it.
    mutating func connected() {
        self.isConnected = true
        for name in self.entries.keys where self.entries[name]?.isWanted == true {
            self.entries[name]?.unconfirmed = 1
            self.add(.subscribe, name)
        }
    }

    mutating func disconnected() {
        self.isConnected = false
        self.unsent = []
        self.sent.removeAll()
        self.missing = 0
        for (name, entry) in self.entries {
            guard entry.isWanted else {
                self.entries[name] = nil
                continue
            }
            self.entries[name]?.isConfirmed = false
            self.entries[name]?.unconfirmed = 0
            self.missing += 1
        }
    }

    /// Whom to tell that it takes too long. What they wait for stays wanted, until it is unsubscribed.
    mutating func takeWaiters() -> [Ready] {
        var waiters: [Ready] = []
        for (name, entry) in self.entries where !entry.waiters.isEmpty {
            waiters += entry.waiters
            self.entries[name]?.waiters = []
        }
        return waiters
    }

    // MARK: Answers

    enum Answer {
        /// Whom to tell that a name is subscribed.
        case ready([Ready])
        /// The server refused a subscription; whom to tell. It is not wanted any more.
        case refused(RedisTopic, [Ready])
        /// The server ended a subscription by itself: the name's slot went elsewhere.
        case ended(RedisTopic)
        case nothing
        /// It answers nothing that was asked.
        case unexpected
    }

    mutating func received(_ push: RedisReply) -> Answer {
        switch push {
        case .error: return self.refused()
        case .simple: return self.pinged()
        case .array(let parts): return self.received(parts)
        default: return .unexpected
        }
    }

    private mutating func received(_ parts: [RedisReply]) -> Answer {
        switch parts.first?.text {
        case "pong": return self.pinged()
        case "subscribe", "ssubscribe":
            guard parts.count == 3, let name = parts[1].bulk, self.isAnswered(.subscribe, name) else {
                return .unexpected
            }
            return self.confirmed(name)
        case "unsubscribe", "sunsubscribe":
            guard parts.count == 3, let name = parts[1].bulk else { return .unexpected }
            if self.isAnswered(.unsubscribe, name) { return .nothing }
            guard let entry = self.entries[name], entry.isWanted else { return .nothing }
            return .ended(entry.topic)
        default: return .unexpected
        }
    }

    private mutating func pinged() -> Answer {
        guard self.sent.first?.kind == .ping else { return .unexpected }
        self.sent.removeFirst()
        return .nothing
    }

    /// Whether it is one confirmation of the oldest command; then it is counted.
    private mutating func isAnswered(_ kind: Request.Kind, _ name: ByteBuffer) -> Bool {
        guard let request = self.sent.first, request.kind == kind else { return false }
        let place = request.names.count - request.missing
        guard request.names.indices.contains(place), request.names[place] == name else { return false }
        if request.missing > 1 { self.sent[self.sent.startIndex].missing -= 1 } else { self.sent.removeFirst() }
        return true
    }

    private mutating func confirmed(_ name: ByteBuffer) -> Answer {
        guard var entry = self.entries[name] else { return .nothing }
        entry.unconfirmed -= 1
        guard entry.unconfirmed == 0 else {
            self.entries[name] = entry
            return .nothing
        }
        guard entry.isWanted else {
            self.entries[name] = nil
            return .nothing
        }
        entry.isConfirmed = true
        self.missing -= 1
        let waiters = entry.waiters
        entry.waiters = []
        self.entries[name] = entry
        return .ready(waiters)
    }

    private mutating func refused() -> Answer {
        guard let request = self.sent.popFirst() else { return .nothing }
        guard request.kind == .subscribe else { return .nothing }
        if request.names.count > 1 {
            // One of them is not allowed, and nobody says which: each by itself.
            self.unsent += request.names.map { Request(.subscribe, [$0]) }
            return .nothing
        }
        guard let name = request.names.first, var entry = self.entries[name] else { return .nothing }
        entry.unconfirmed -= 1
        let waiters = entry.waiters
        entry.waiters = []
        if entry.isWanted, entry.unconfirmed == 0 {
            entry.isWanted = false
            self.missing -= 1
        }
        self.entries[name] = entry.unconfirmed > 0 ? entry : nil
        return .refused(entry.topic, waiters)
    }
}
