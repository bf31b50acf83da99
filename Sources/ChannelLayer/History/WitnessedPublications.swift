/// What witnesses have said under one idempotency key, for `HistoryStream`; see `Witness`.
struct WitnessedPublications {
    typealias Time = HistoryState.Time

    /// What is not forgotten, oldest first.
    private var known: [(position: StreamPosition, end: Time)] = []
    /// How many were forgotten: what is first has this number, counted from 0.
    private var forgotten = 0
    /// For each witness how many it has said, with those that it has not, and the number of the last.
    private var witnesses: [String: (count: Int, number: UInt64)] = [:]

    var isEmpty: Bool { self.known.isEmpty }

    /// Lets go what is over.
    mutating func expire(_ now: Time) {
        let over = self.known.prefix { $0.end <= now }.count
        self.known.removeFirst(over)
        self.forgotten += over
    }

    /// Where that was kept what a witness says now; `nil` for something new, which is to be added if it counts.
    mutating func position(of witness: Witness, at now: Time) -> StreamPosition? {
        self.expire(now)
        let before = self.witnesses[witness.name] ?? (0, 0)
        let isRepeated = before.count > 0 && witness.number <= before.number
        let place = isRepeated ? before.count - 1 : max(before.count, self.forgotten)
        let index = place - self.forgotten
        guard self.known.indices.contains(index) else {
            return isRepeated ? StreamPosition(offset: 0, epoch: "") : nil
        }
        if !isRepeated { self.witnesses[witness.name] = (place + 1, witness.number) }
        return self.known[index].position
    }

    mutating func add(_ position: StreamPosition, of witness: Witness, until end: Time) {
        self.known.append((position, end))
        self.witnesses[witness.name] = (self.forgotten + self.known.count, witness.number)
    }
}
