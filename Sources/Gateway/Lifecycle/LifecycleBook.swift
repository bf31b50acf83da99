import ChannelLayer

/// What the stream of all gateways' entries says, up to a position: who is connected, which users are online, which channels
/// have subscribers; and the events that came of it.
///
/// Reading the same entries makes the same events with the same numbers, whoever reads. So any gateway can go on where
/// another one stopped, and two who do it at once tell the application nothing that differs.
struct LifecycleBook: Equatable, Sendable {
    struct Rules: Sendable {
        var kinds = Set(LifecycleEvent.Kind.allCases)
        /// Milliseconds before a user counts as offline and a channel as vacated.
        var linger: Int64 = 5_000
        /// Events that may wait for the application.
        var backlog = 10_000
    }

    struct Node: Equatable, Sendable {
        var state = LifecycleState()
        /// Nothing of what it said was lost.
        var isSure = false
        /// Of the last entry in which it spoke of itself.
        var serial: UInt64 = 0
    }

    /// Who uses something: a user's connections, a channel's gateways.
    struct Uses: Equatable, Sendable {
        var count = 0
        /// When nobody has used it for long enough; `nil` while somebody does.
        var end: Int64?
    }

    /// Milliseconds that a connection has for its move at least.
    private static let moveTime: Int64 = 5_000

    /// A connection that its gateway has passed on, and no other has taken yet. Its user still has it.
    struct Move: Equatable, Sendable {
        var node: String
        var user: String
        var end: Int64
    }

    enum Thing: Hashable, Sendable {
        case user(String), channel(String)
        /// One that moves.
        case client(String)
    }

    /// What ends when it is not used again before that.
    struct Ending: Hashable, Sendable {
        var time: Int64
        var thing: Thing
    }

    /// Which numbering the events have.
    private(set) var stream: String
    /// The last entry that was read.
    private(set) var position: StreamPosition
    /// Milliseconds since 1970; never goes back.
    private(set) var time: Int64 = 0
    private(set) var nodes: [String: Node] = [:]
    private(set) var users: [String: Uses] = [:]
    private(set) var channels: [String: Uses] = [:]
    private(set) var moves: [String: Move] = [:]
    var outbox = LifecycleOutbox()
    /// By time, and of one time in the order in which they began. Those that do not count any more are passed over when it is
    /// their turn.
    private var endings: [Ending] = []

    init(stream: String, position: StreamPosition) {
        self.stream = stream
        self.position = position
    }

    /// As another one was; users and channels follow from nodes, endings and moves.
    ///
    /// - Parameter endings: by time.
    init(
        stream: String, position: StreamPosition, time: Int64, nodes: [String: Node], endings: [Ending],
        moves: [String: Move], outbox: LifecycleOutbox
    ) {
        self.init(stream: stream, position: position)
        self.time = time
        self.nodes = nodes
        self.outbox = outbox
        self.moves = moves
        self.endings = endings
        for ending in endings { self[uses: ending.thing] = Uses(count: 0, end: ending.time) }
        for move in moves.values where !move.user.isEmpty { self.users[move.user, default: Uses()].count += 1 }
        for node in nodes.values {
            for (_, client) in node.state.clients where !client.user.isEmpty {
                self.users[client.user, default: Uses()].count += 1
            }
            for channel in node.state.channels { self.channels[channel, default: Uses()].count += 1 }
        }
    }

    /// Those that still count.
    var openEndings: [Ending] {
        self.endings.filter { ending in
            if case .client(let client) = ending.thing { return self.moves[client]?.end == ending.time }
            return self[uses: ending.thing]?.end == ending.time
        }
    }

    /// Gateways of which all is known.
    var known: [String] { self.nodes.filter(\.value.isSure).keys.sorted() }

    /// When something is to be said although nothing happens: milliseconds since 1970.
    var nextEnding: Int64? { self.endings.first?.time }

    // MARK: Reading

    mutating func read(_ entry: LifecycleEntry, at position: StreamPosition, _ rules: Rules) {
        self.position = position
        // Clocks of hosts differ a little; time never goes back here.
        self.time = max(self.time, entry.time)
        self.finishEndings(rules)
        guard self.isNews(entry) else { return }
        switch entry.content {
        case .facts(let facts): for fact in facts { self.note(fact, of: entry.node, rules) }
        case .state(let state):
            let facts = (self.nodes[entry.node]?.state ?? LifecycleState()).facts(to: state)
            for fact in facts { self.note(fact, of: entry.node, rules) }
            self.nodes[entry.node, default: Node()].isSure = true
        case .gone:
            guard let node = self.nodes[entry.node] else { return }
            for fact in node.state.facts(to: LifecycleState()) { self.note(fact, of: entry.node, rules) }
            self.nodes[entry.node] = nil
        case .tick: break
        case .taken(let number): self.outbox.take(upTo: number)
        }
        // With no time to wait they end at once.
        self.finishEndings(rules)
    }

    /// Whoever writes an entry does not always learn whether it stands there, and writes it again. So it may come twice, and
    /// late: then all that its gateway has said since must not be undone.
    private mutating func isNews(_ entry: LifecycleEntry) -> Bool {
        guard entry.serial > 0 else { return true }
        let node = self.nodes[entry.node]
        guard entry.serial > node?.serial ?? 0 else { return false }
        if let node, entry.serial - 1 != node.serial, !entry.content.isState {
            // What stood between was never read. Nobody knows whose else it was.
            self.lostTrack(before: self.position)
        }
        self.nodes[entry.node, default: Node()].serial = entry.serial
        return true
    }

    /// An entry that says nothing.
    mutating func skip(to position: StreamPosition) { self.position = position }

    /// Entries before `position` are lost. What there is must be said anew.
    mutating func lostTrack(before position: StreamPosition) {
        self.position = position
        for name in self.nodes.keys { self.nodes[name]?.isSure = false }
    }

    private mutating func note(_ fact: LifecycleFact, of node: String, _ rules: Rules) {
        var leaving = ""
        switch fact {
        case .disconnected(let client, _), .moved(let client):
            leaving = self.nodes[node]?.state.client(client)?.user ?? ""
        default: break
        }
        // What is known already is no event.
        guard self.nodes[node, default: Node()].state.apply(fact) else { return }
        switch fact {
        case .connected(let client, let what):
            var event = LifecycleEvent(kind: .connected, time: self.time, node: node, client: client)
            event.user = what.user
            event.transport = what.transport
            let move = self.moves.removeValue(forKey: client)
            if move == nil, !self.isElsewhere(client, than: node) { self.tell(event, rules) }
            self.use(.user(what.user), rules)
            if let move { self.leave(.user(move.user), rules) }
        case .disconnected(let client, let code):
            var event = LifecycleEvent(kind: .disconnected, time: self.time, node: node, client: client)
            event.user = leaving
            event.code = code
            // Who took it may have said so already.
            if !self.isElsewhere(client, than: node) { self.tell(event, rules) }
            self.leave(.user(leaving), rules)
        case .moved(let client):
            guard !self.isElsewhere(client, than: node) else { return self.leave(.user(leaving), rules) }
            let end = self.end(.client(client), after: max(rules.linger, Self.moveTime))
            self.moves[client] = Move(node: node, user: leaving, end: end)
        case .followed(let channel): self.use(.channel(channel), rules)
        case .left(let channel): self.leave(.channel(channel), rules)
        }
    }

    // MARK: Users and channels

    private mutating func use(_ thing: Thing, _ rules: Rules) {
        guard thing != .user("") else { return }
        let known = self[uses: thing]
        self[uses: thing] = Uses(count: (known?.count ?? 0) + 1)
        if known == nil { self.tell(Self.event(thing, isThere: true, self.time), rules) }
    }

    private mutating func leave(_ thing: Thing, _ rules: Rules) {
        guard thing != .user(""), var uses = self[uses: thing] else { return }
        uses.count -= 1
        if uses.count <= 0 {
            uses.end = self.end(thing, after: rules.linger)
        }
        self[uses: thing] = uses
    }

    /// Something is over when it is not used again within so many milliseconds.
    ///
    /// - Returns: when that is.
    private mutating func end(_ thing: Thing, after wait: Int64) -> Int64 {
        let ending = Ending(time: self.time.addingReportingOverflow(max(wait, 0)).partialValue, thing: thing)
        // Nearly always the last, since nearly all wait equally long. Of a dead gateway many end at once.
        var (low, high) = (0, self.endings.count)
        if let last = self.endings.last, last.time <= ending.time { low = high }
        while low < high {
            let middle = low + (high - low) / 2
            if self.endings[middle].time <= ending.time { low = middle + 1 } else { high = middle }
        }
        self.endings.insert(ending, at: low)
        return ending.time
    }

    /// A connection moves from one process to another, and each says so when it can.
    private func isElsewhere(_ client: String, than node: String) -> Bool {
        self.nodes.contains { $0.key != node && $0.value.state.client(client) != nil }
    }

    private mutating func finishEndings(_ rules: Rules) {
        let due = self.endings.prefix { $0.time <= self.time }
        guard !due.isEmpty else { return }
        self.endings.removeFirst(due.count)
        for ending in due {
            if case .client(let client) = ending.thing {
                if self.moves[client]?.end == ending.time { self.finishMove(of: client, rules) }
            } else if self[uses: ending.thing]?.end == ending.time {
                self[uses: ending.thing] = nil
                self.tell(Self.event(ending.thing, isThere: false, ending.time), rules)
            }
        }
    }

    /// Nobody took it.
    private mutating func finishMove(of client: String, _ rules: Rules) {
        guard let move = self.moves.removeValue(forKey: client) else { return }
        var event = Self.event(.client(client), isThere: false, move.end)
        event.node = move.node
        event.user = move.user
        event.code = CloseCode.serviceRestart.rawValue
        self.tell(event, rules)
        self.leave(.user(move.user), rules)
    }

    private subscript(uses thing: Thing) -> Uses? {
        get {
            switch thing {
            case .user(let name): self.users[name]
            case .channel(let name): self.channels[name]
            case .client: nil
            }
        }
        set {
            switch thing {
            case .user(let name): self.users[name] = newValue
            case .channel(let name): self.channels[name] = newValue
            case .client: break
            }
        }
    }

    // MARK: Events

    private static func event(_ thing: Thing, isThere: Bool, _ time: Int64) -> LifecycleEvent {
        switch thing {
        case .user(let name):
            var event = LifecycleEvent(kind: isThere ? .online : .offline, time: time)
            event.user = name
            return event
        case .channel(let name):
            var event = LifecycleEvent(kind: isThere ? .occupied : .vacated, time: time)
            event.channel = name
            return event
        case .client(let name):
            return LifecycleEvent(kind: isThere ? .connected : .disconnected, time: time, client: name)
        }
    }

    private mutating func tell(_ event: LifecycleEvent, _ rules: Rules) {
        if rules.kinds.contains(event.kind) { self.outbox.append(event, limit: rules.backlog) }
    }
}
