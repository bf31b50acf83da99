/// Events that the application has not taken, in order, each with its number. Bounded: when it is full the oldest goes, and
/// the next batch says which numbers are missing.
///
/// Numbers are 1, 2, 3 …; each is one event, whether it is ever sent or not.
struct LifecycleOutbox: Equatable, Sendable {
    /// The last number that was taken.
    private(set) var taken: UInt64 = 0
    /// The number of the first of `waiting`, or of the next event.
    private(set) var first: UInt64 = 1
    private(set) var waiting: [LifecycleEvent] = []
    /// Those of `waiting` that are gone; removed all at once when they are many.
    private var gone = 0
    private(set) var dropped = 0

    init() {}

    /// As it was elsewhere.
    init(taken: UInt64, first: UInt64, waiting: [LifecycleEvent]) {
        self.taken = min(taken, first.subtractingReportingOverflow(1).partialValue)
        self.first = first
        self.waiting = waiting
    }

    var count: Int { self.waiting.count - self.gone }
    var events: ArraySlice<LifecycleEvent> { self.waiting[self.gone...] }

    /// - Parameter limit: events that may wait.
    mutating func append(_ event: LifecycleEvent, limit: Int) {
        self.waiting.append(event)
        while self.count > max(limit, 1) {
            self.removeFirst(1)
            self.dropped &+= 1
        }
    }

    /// The application has the events up to this number. Numbers that no event has had yet are passed over.
    mutating func take(upTo number: UInt64) {
        let number = min(number, self.first + UInt64(self.count) - 1)
        guard number > self.taken else { return }
        self.taken = number
        if number >= self.first { self.removeFirst(Int(clamping: number - self.first + 1)) }
    }

    private mutating func removeFirst(_ count: Int) {
        let count = min(count, self.count)
        self.gone += count
        self.first += UInt64(count)
        guard self.gone > 1_000 || self.gone == self.waiting.count else { return }
        self.waiting.removeFirst(self.gone)
        self.gone = 0
    }

    /// The next events for the application; `nil` when none wait.
    func batch(of stream: String, limit: Int) -> LifecycleBatch? {
        guard self.count > 0 else { return nil }
        return LifecycleBatch(
            stream: stream, missing: self.taken + 1 < self.first ? self.taken + 1...self.first - 1 : nil,
            first: self.first, events: Array(self.events.prefix(max(limit, 1))))
    }

    static func == (one: LifecycleOutbox, other: LifecycleOutbox) -> Bool {
        one.taken == other.taken && one.first == other.first && one.events.elementsEqual(other.events)
    }
}
