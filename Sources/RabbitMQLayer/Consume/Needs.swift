import ChannelLayer

/// Something the broker must hold for this process while somebody here wants it.
enum Need: Hashable, Sendable {
    /// The bindings of a group.
    case group(GroupName)
    /// The queue of channels whose names begin with this.
    case ownQueue(prefix: String)
}

/// Who wants something.
enum NeedHolder: Hashable, Sendable {
    case feed(ObjectIdentifier)
    case channel(ChannelName)
    /// The layer itself, for good.
    case layer
}

/// What this process wants of the broker, what of it is there, and who waits for it. A value; whom to tell is returned.
struct Needs {
    typealias Waiter = @Sendable (LayerError?) -> Void
    typealias Answer = (waiter: Waiter, error: LayerError?)

    enum Change: Equatable { case add(Need), remove(Need) }

    private struct Entry {
        var holders: Set<NeedHolder> = []
        var isThere = false
        var waiters: [(holder: NeedHolder, deadline: ContinuousClock.Instant, tell: Waiter)] = []
    }

    private var entries: [Need: Entry] = [:]
    private var changes: [Change] = []
    /// Entries with waiters, so that a tick looks at those alone.
    private var awaited: Set<Need> = []
    private(set) var isClosed = false
    /// Why there is no connection, for the errors.
    private var trouble: LayerError?

    /// How much is wanted, for tests.
    var count: Int { self.entries.count }

    // MARK: From outside

    /// - Parameters:
    ///   - waiter: called once: when it is there, when it cannot be, or after `deadline`; in the last two cases `holder`
    ///     wants it no more.
    /// - Returns: whom to tell at once, and whether the consuming thread has something to do.
    mutating func want(
        _ need: Need, by holder: NeedHolder, until deadline: ContinuousClock.Instant, _ waiter: @escaping Waiter
    ) -> (answer: Answer?, mustWake: Bool) {
        guard !self.isClosed else { return ((waiter, OutboxState.closed), false) }
        let isNew = self.entries[need] == nil
        self.entries[need, default: Entry()].holders.insert(holder)
        if self.entries[need]?.isThere == true { return ((waiter, nil), false) }
        self.entries[need]?.waiters.append((holder, deadline, waiter))
        self.awaited.insert(need)
        if isNew { self.changes.append(.add(need)) }
        return (nil, isNew)
    }

    /// - Returns: whether the consuming thread has something to do.
    mutating func release(_ need: Need, by holder: NeedHolder) -> Bool {
        guard self.entries[need]?.holders.remove(holder) != nil else { return false }
        return self.removeIfUnwanted(need)
    }

    /// Everything a feed wanted.
    mutating func release(_ holder: NeedHolder, _ needs: Set<Need>) -> Bool {
        needs.reduce(false) { self.release($1, by: holder) || $0 }
    }

    /// Nobody here is in the group, as far as members are kept elsewhere: their time was over.
    mutating func releaseChannels(of group: GroupName) {
        guard var entry = self.entries[.group(group)] else { return }
        entry.holders = entry.holders.filter { if case .channel = $0 { false } else { true } }
        self.entries[.group(group)] = entry
        _ = self.removeIfUnwanted(.group(group))
    }

    private mutating func removeIfUnwanted(_ need: Need) -> Bool {
        guard let entry = self.entries[need], entry.holders.isEmpty, entry.waiters.isEmpty else { return false }
        self.entries[need] = nil
        self.awaited.remove(need)
        self.changes.append(.remove(need))
        return true
    }

    /// Ends every wait.
    mutating func close() -> [Answer] {
        self.isClosed = true
        defer { self.entries = [:] }
        return self.entries.values.flatMap { $0.waiters.map { ($0.tell, OutboxState.closed) } }
    }

    // MARK: From the connection

    /// What changed since the last call, in order.
    mutating func takeChanges() -> [Change] {
        guard !self.changes.isEmpty else { return [] }
        defer { self.changes = [] }
        return self.changes
    }

    /// A new connection, on which nothing is there yet. What is wanted now is all to be made; earlier changes are in it.
    mutating func connected() -> [Need] {
        self.changes = []
        return Array(self.entries.keys)
    }

    mutating func satisfied(_ need: Need) -> [Answer] {
        guard var entry = self.entries[need] else { return [] }
        let answers = entry.waiters.map { ($0.tell, LayerError?.none) as Answer }
        entry.isThere = true
        entry.waiters = []
        self.entries[need] = entry
        self.awaited.remove(need)
        // Whoever waited for it may have left meanwhile.
        _ = self.removeIfUnwanted(need)
        return answers
    }

    /// It cannot be made. Who waited wants it no more; who had it before goes on wanting it.
    mutating func refused(_ need: Need, _ error: LayerError) -> [Answer] {
        guard var entry = self.entries[need] else { return [] }
        let answers = entry.waiters.map { ($0.tell, error) as Answer }
        for waiter in entry.waiters { entry.holders.remove(waiter.holder) }
        entry.waiters = []
        self.entries[need] = entry.holders.isEmpty ? nil : entry
        self.awaited.remove(need)
        return answers
    }

    mutating func lost(_ error: LayerError) {
        self.trouble = error
        for need in self.entries.keys { self.entries[need]?.isThere = false }
    }

    mutating func works() { self.trouble = nil }

    /// Who has waited too long.
    mutating func expire(_ now: ContinuousClock.Instant) -> [Answer] {
        var answers: [Answer] = []
        for need in self.awaited {
            guard var entry = self.entries[need] else { continue }
            let late = entry.waiters.filter { $0.deadline <= now }
            guard !late.isEmpty else { continue }
            let error = self.trouble ?? LayerError(.unavailable, "RabbitMQ did not answer in time")
            for waiter in late {
                answers.append((waiter.tell, error))
                entry.holders.remove(waiter.holder)
            }
            entry.waiters.removeAll { $0.deadline <= now }
            self.entries[need] = entry
            if entry.waiters.isEmpty { self.awaited.remove(need) }
            _ = self.removeIfUnwanted(need)
        }
        return answers
    }
}
