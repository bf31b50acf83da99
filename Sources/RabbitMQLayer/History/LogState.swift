import ChannelLayer

/// What the log says, read so far: histories, and who is present. A value without I/O and without a clock.
///
/// Each process reads the same entries in the same order, and so all have the same histories without asking each other.
/// Their time is that of the entries, which never goes back.
struct LogState {
    /// What comes of an entry.
    enum Effect: Equatable {
        case published(PublishResult)
        /// Looked, or removed.
        case done
        /// Somebody new reads: say who is here.
        case sayPresence
    }

    private(set) var histories = HistoryState()
    private(set) var presence = PresenceState()
    /// What each process said of its clients, and when it was heard last.
    private var owners: [String: (clients: Set<Client>, heard: ContinuousClock.Instant)] = [:]
    /// Milliseconds since 1970.
    private(set) var time: Int64 = 0
    /// Offsets in the log of the first and the last entry that was read.
    private(set) var first: UInt64?
    private(set) var last: UInt64?

    private struct Client: Hashable {
        let group: GroupName
        let name: String
    }

    // MARK: Entries

    /// Something stands at `place` that is no entry.
    mutating func pass(_ place: UInt64) {
        if self.first == nil { self.first = place }
        self.last = place
    }

    /// - Parameters:
    ///   - place: the entry's offset in the log.
    ///   - isLive: presence counts; what was said before this process began is said again.
    /// - Returns: what comes of it, and the message that is to be heard.
    mutating func apply(
        _ entry: LogEntry, at place: UInt64, isLive: Bool, now: ContinuousClock.Instant
    ) -> (effect: Effect, message: LayerMessage?) {
        self.pass(place)
        self.time = max(self.time, entry.time)
        let group = GroupName(unchecked: entry.group)
        let time = Duration.milliseconds(self.time)
        if isLive { self.owners[entry.process, default: ([], now)].heard = now }
        switch entry.kind {
        case .publication(let message, let options, let beginning):
            let (result, sent) = self.histories.publish(
                message, toGroup: group, keeping: options, at: time, beginning: self.position(of: beginning))
            return (.published(result), sent)
        case .look(let beginning, let life):
            self.histories.begin(group, at: time, self.position(of: beginning), until: time + life)
        case .removal: self.histories.removePublications(of: group)
        case .hello: return (.sayPresence, nil)
        case .present(let clients) where isLive: for client in clients { self.add(client, group, entry.process) }
        case .absent(let client) where isLive: self.remove(Client(group: group, name: client), entry.process)
        case .alive, .present, .absent: break
        }
        return (.done, nil)
    }

    /// Where a stream goes on that is not known here.
    private func position(of beginning: LogBeginning) -> StreamPosition {
        guard let known = beginning.known, let first = self.first, first <= known.place &+ 1 else {
            return StreamPosition(offset: 0, epoch: beginning.epoch)
        }
        return known.position
    }

    /// What is known of a group, to be written with an entry.
    ///
    /// Nothing for a group with keys or versions: who does not know those could take something that others suppress, and
    /// would count otherwise from then on. In another epoch that is harmless.
    func beginning(of group: GroupName, at now: Int64) -> LogBeginning {
        let epoch = HistoryState.randomEpoch()
        let time = Duration.milliseconds(max(self.time, now))
        guard let last = self.last, let position = self.histories.bareTop(of: group, at: time) else {
            return LogBeginning(epoch: epoch)
        }
        return LogBeginning(epoch: epoch, known: .init(position: position, place: last))
    }

    /// The log is another one than it was: nothing of what is known holds.
    mutating func begin() { self = LogState() }

    // MARK: Presence

    private mutating func add(_ presence: Presence, _ group: GroupName, _ process: String) {
        self.presence.add(presence, in: group)
        self.owners[process]?.clients.insert(Client(group: group, name: presence.client))
    }

    /// It has left. Also for a process that it has moved from, and that has not said so.
    private mutating func remove(_ client: Client, _ process: String) {
        guard self.owners[process]?.clients.contains(client) == true else { return }
        for owner in self.owners.keys { self.owners[owner]?.clients.remove(client) }
        self.presence.remove(client.name, from: client.group)
    }

    /// Its clients are gone, but those that have moved to another process.
    private mutating func forget(_ process: String) {
        for client in self.owners.removeValue(forKey: process)?.clients ?? []
        where !self.owners.values.contains(where: { $0.clients.contains(client) }) {
            self.presence.remove(client.name, from: client.group)
        }
    }

    /// Forgets the processes that were not heard of for `time`.
    mutating func forgetSilent(for time: Duration, now: ContinuousClock.Instant) {
        for (process, owner) in self.owners where owner.heard + time <= now { self.forget(process) }
    }

    /// Nothing could be heard until now.
    mutating func excuseSilence(now: ContinuousClock.Instant) {
        for process in self.owners.keys { self.owners[process]?.heard = now }
    }
}
