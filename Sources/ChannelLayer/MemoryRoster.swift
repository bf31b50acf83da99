/// Something a `MemoryRoster` keeps.
protocol MemoryRosterEntry: AnyObject {
    associatedtype Name: Hashable
    var name: Name { get }
    /// Where it stands in the roster; the roster's business.
    var place: Int { get set }
}

/// Entries by name, which can also be looked through a few at a time, round and round.
///
/// That is how what nobody uses any more goes away: each use of the layer looks at the next few entries, so that no use
/// pays for all of them, and no timer is needed. Twice as many are looked at as can have come since, so the round ends.
struct MemoryRoster<Entry: MemoryRosterEntry> {
    private var byName: [Entry.Name: Entry] = [:]
    private(set) var all: [Entry] = []
    private var cursor = 0

    var count: Int { self.all.count }

    subscript(name: Entry.Name) -> Entry? { self.byName[name] }

    mutating func insert(_ entry: Entry) {
        entry.place = self.all.count
        self.all.append(entry)
        self.byName[entry.name] = entry
    }

    /// - Complexity: O(1): the last entry takes its place.
    mutating func remove(_ entry: Entry) {
        guard entry.place < self.all.count, self.all[entry.place] === entry else { return }
        self.byName[entry.name] = nil
        let last = self.all.removeLast()
        guard last !== entry else { return }
        self.all[entry.place] = last
        last.place = entry.place
    }

    /// The next one of the round, which may be removed.
    mutating func next() -> Entry? {
        guard !self.all.isEmpty else { return nil }
        // From the end to the beginning: whoever takes a removed entry's place was looked at already.
        self.cursor = self.cursor == 0 || self.cursor > self.all.count ? self.all.count - 1 : self.cursor - 1
        return self.all[self.cursor]
    }
}
