/// Something that wants to be woken at a second.
protocol WheelEntry: AnyObject {
    /// Where the wheel keeps the entry; `nil` while it is not in it. Only the wheel writes it.
    var wheelPlace: TimerWheel<Self>.Place? { get set }
}

/// Deadlines of all connections of one event loop, to the second: putting one in, moving it and taking it out cost a few
/// nanoseconds and no allocation, where a scheduled task per connection costs a hundred bytes and a heap operation.
///
/// A value without a clock: its owner says how many seconds have passed.
struct TimerWheel<Entry: WheelEntry> {
    struct Place: Sendable {
        fileprivate var slot: Int32
        fileprivate var index: Int32
        /// How often the wheel goes round before it is time.
        fileprivate var rounds: Int32
    }

    private var slots: [ContiguousArray<Entry>]
    private var now = 0

    /// - Parameter seconds: how long the wheel takes to go round. Longer waits cost a look in each round.
    init(seconds: Int = 128) {
        self.slots = Array(repeating: [], count: max(seconds, 2))
    }

    /// Wakes `entry` after `seconds`, at the least one; an earlier wish of the same entry is forgotten.
    mutating func set(_ entry: Entry, after seconds: Int) {
        self.remove(entry)
        let wait = max(seconds, 1)
        let slot = (self.now &+ wait % self.slots.count) % self.slots.count
        entry.wheelPlace = Place(
            slot: Int32(truncatingIfNeeded: slot), index: Int32(clamping: self.slots[slot].count),
            rounds: Int32(clamping: (wait &- 1) / self.slots.count))
        self.slots[slot].append(entry)
    }

    /// Forgets the entry's wish, if it has one.
    mutating func remove(_ entry: Entry) {
        guard let place = entry.wheelPlace else { return }
        entry.wheelPlace = nil
        let slot = Int(place.slot)
        let index = Int(place.index)
        guard slot < self.slots.count, let last = self.slots[slot].popLast(), last !== entry else { return }
        guard index < self.slots[slot].count else { return }
        self.slots[slot][index] = last
        last.wheelPlace?.index = place.index
    }

    /// All that are in it, in no order.
    var entries: [Entry] { self.slots.flatMap { Array($0) } }

    /// One second has passed: those whose time has come, taken out.
    mutating func tick() -> ContiguousArray<Entry> {
        self.now = (self.now &+ 1) % self.slots.count
        var due = self.slots[self.now]
        self.slots[self.now] = []
        guard due.contains(where: { $0.wheelPlace?.rounds ?? 0 > 0 }) else {
            for entry in due { entry.wheelPlace = nil }
            return due
        }
        let later = ContiguousArray(due.filter { $0.wheelPlace?.rounds ?? 0 > 0 })
        due.removeAll { $0.wheelPlace?.rounds ?? 0 > 0 }
        for (index, entry) in later.enumerated() {
            entry.wheelPlace?.index = Int32(clamping: index)
            entry.wheelPlace?.rounds -= 1
        }
        self.slots[self.now] = later
        for entry in due { entry.wheelPlace = nil }
        return due
    }
}
