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

    enum Thing: Hashable, Sendable {
        case user(String), channel(String)

        fileprivate var key: (Int, String) {
            switch self {
            case .user(let name): (0, name)
            case .channel(let name): (1, name)
            }
        }
    }

    /// What ends when it is not used again before that.
    struct Ending: Hashable, Sendable, Comparable {
        var time: Int64
        var thing: Thing

        static func < (one: Ending, other: Ending) -> Bool {
            (one.time, one.thing.key.0, one.thing.key.1) < (other.time, other.thing.key.0, other.thing.key.1)
        }
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
    var outbox = LifecycleOutbox()
    /// Sorted. Those that do not count any more are passed over when it is their turn.
    private var endings: [Ending] = []

    init(stream: String, position: StreamPosition) {
        self.stream = stream
        self.position = position
    }

    /// As another one was; users and channels follow from nodes and endings.
    init(
        stream: String, position: StreamPosition, time: Int64, nodes: [String: Node], endings: [Ending],
        outbox: LifecycleOutbox
    ) {
        self.init(stream: stream, position: position)
        self.time = time
        self.nodes = nodes
        self.outbox = outbox
        self.endings = endings.sorted()
        for ending in endings { self[uses: ending.thing] = Uses(count: 0, end: ending.time) }
        for node in nodes.values {
            for (_, client) in node.state.clients where !client.user.isEmpty {
                self.users[client.user, default: Uses()].count += 1
            }
            for channel in node.state.channels { self.channels[channel, default: Uses()].count += 1 }
        }
    }

    /// Those that still count.
    var openEndings: [Ending] { self.endings.filter { self[uses: $0.thing]?.end == $0.time } }

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
        if case .disconnected(let client, _) = fact { leaving = self.nodes[node]?.state.client(client)?.user ?? "" }
        // What is known already is no event.
        guard self.nodes[node, default: Node()].state.apply(fact) else { return }
        switch fact {
        case .connected(let client, let what):
            var event = LifecycleEvent(kind: .connected, time: self.time, node: node, client: client)
            event.user = what.user
            event.transport = what.transport
            self.tell(event, rules)
            self.use(.user(what.user), rules)
        case .disconnected(let client, let code):
            var event = LifecycleEvent(kind: .disconnected, time: self.time, node: node, client: client)
            event.user = leaving
            event.code = code
            self.tell(event, rules)
            self.leave(.user(leaving), rules)
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
            let time = self.time.addingReportingOverflow(max(rules.linger, 0)).partialValue
            let ending = Ending(time: time, thing: thing)
            uses.end = ending.time
            // Nearly always the last: the time to wait is the same for all.
            let place = self.endings.lastIndex { $0 < ending }.map { $0 + 1 } ?? 0
            self.endings.insert(ending, at: place)
        }
        self[uses: thing] = uses
    }

    private mutating func finishEndings(_ rules: Rules) {
        let due = self.endings.prefix { $0.time <= self.time }
        guard !due.isEmpty else { return }
        self.endings.removeFirst(due.count)
        for ending in due where self[uses: ending.thing]?.end == ending.time {
            self[uses: ending.thing] = nil
            self.tell(Self.event(ending.thing, isThere: false, ending.time), rules)
        }
    }

    private subscript(uses thing: Thing) -> Uses? {
        get {
            switch thing {
            case .user(let name): self.users[name]
            case .channel(let name): self.channels[name]
            }
        }
        set {
            switch thing {
            case .user(let name): self.users[name] = newValue
            case .channel(let name): self.channels[name] = newValue
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
        }
    }

    private mutating func tell(_ event: LifecycleEvent, _ rules: Rules) {
        if rules.kinds.contains(event.kind) { self.outbox.append(event, limit: rules.backlog) }
    }
}
