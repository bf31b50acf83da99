import ChannelLayer

@testable import Gateway

/// A layer's two histories, with the time and the beats in the test's hands.
struct LifecycleSite {
    var entries: [LifecycleEntry] = []
    var epoch = "e"
    /// Entries before this one are no longer kept.
    var kept = 0
    var checkpoint: LayerMessage?
    var posted: [LifecycleBatch] = []
    var applicationWorks = true
    var silent: Set<String> = []
    var now: Int64 = 0

    mutating func happen(_ node: String, _ facts: LifecycleFact...) {
        self.entries.append(LifecycleEntry(node: node, time: self.now, content: .facts(facts)))
    }

    func page(since: StreamPosition) -> HistoryPage {
        let top = StreamPosition(offset: UInt64(self.entries.count), epoch: self.epoch)
        guard since.epoch.isEmpty || since.epoch == self.epoch else {
            return HistoryPage(publications: [], top: top)
        }
        let from = max(Int(clamping: since.offset), self.kept)
        let publications = self.entries.enumerated().dropFirst(from).prefix(LifecycleClerk.pageLimit).map {
            StoredPublication(offset: UInt64($0.offset + 1), message: $0.element.message)
        }
        return HistoryPage(publications: Array(publications), top: top)
    }

    /// Lets a clerk work until it has nothing to do.
    mutating func run(_ clerk: inout LifecycleClerk, for milliseconds: Int64 = 1_000) {
        for _ in 0..<max(milliseconds / 100, 1) {
            var actions = self.work(&clerk)
            while !actions.isEmpty {
                actions = actions.flatMap { self.perform($0, &clerk) } + self.work(&clerk)
            }
            self.now += 100
        }
    }

    private func work(_ clerk: inout LifecycleClerk) -> [LifecycleClerk.Action] {
        clerk.work(isClerk: true, now: self.now) { self.silent.contains($0) }
    }

    private mutating func perform(
        _ action: LifecycleClerk.Action, _ clerk: inout LifecycleClerk
    ) -> [LifecycleClerk.Action] {
        switch action {
        case .readCheckpoint: clerk.readCheckpoint(.success(self.checkpoint), now: self.now)
        case .readStream(let since): clerk.readStream(.success(self.page(since: since)), now: self.now)
        case .append(let entry):
            self.entries.append(entry)
            clerk.appended(now: self.now)
        case .keep(let checkpoint):
            self.checkpoint = checkpoint
            clerk.kept()
        case .post(let batch):
            if self.applicationWorks { self.posted.append(batch) }
            return clerk.posted(batch, isTaken: self.applicationWorks, now: self.now, random: 0)
        }
        return []
    }

    var told: [String] {
        self.posted.flatMap { batch in
            batch.events.enumerated().map { index, event in
                let about = event.client.isEmpty ? event.user + event.channel : event.client
                return "\(batch.first + UInt64(index)) \(event.kind) \(about)"
            }
        }
    }

    /// Writes all that a gateway has to say.
    mutating func write(_ notes: inout LifecycleNotes) {
        while let entry = notes.next(at: self.now) { self.entries.append(entry) }
    }

    static func clerk(_ node: String, backlog: Int = 100, batch: Int = 100) -> LifecycleClerk {
        var rules = LifecycleBook.Rules()
        rules.linger = 1_000
        rules.backlog = backlog
        return LifecycleClerk(node: node, rules: rules, batchLimit: batch)
    }
}
