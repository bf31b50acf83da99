/// Joins what two gateways heard of the same groups, so that browsers that move from the old one to the new one get every
/// message once. A value without I/O or clock; the argument stands in docs/design.md, "A gateway restarts".
///
/// ```
///   old   ── a ─ b ─ c ─ d ──┤ cut                 its log:      a b c d   (delivered by it)
///   new     ── b ─ a ─ c ────┼── d ─ e ─ f ──▶     its record:   b a c     (heard meanwhile)
///                            └ delivered by the new one: e f; d, which comes late, is in the log, and is passed over
/// ```
///
/// Layers give messages no identity, so a message is known by its group and content. Equal ones are interchangeable, so
/// that only their number counts: the copies heard here are laid beside those of the log such that their times differ
/// least, and what comes after the last one of the log is new.
package struct Seam<Message: Sendable>: Sendable {
    /// One message that was heard.
    private struct Heard {
        let key: HeardMessage.Key
        let time: UInt64
        let message: Message
    }

    /// Nanoseconds that one gateway may hear a message later than the other.
    private let skew: UInt64
    private var record: [Heard] = []
    /// Copies that the old gateway has delivered and that were not heard here yet.
    private var awaited: [HeardMessage.Key: Int] = [:]
    private var cut: UInt64 = .max

    /// - Parameter skew: nanoseconds that one gateway may hear a message later than the other.
    package init(skew: UInt64) { self.skew = skew }

    /// Before the cut: remembers what was heard.
    package mutating func record(_ message: Message, _ heard: HeardMessage) {
        self.record.append(Heard(key: heard.key, time: heard.time, message: message))
    }

    /// Joins the old gateway's log, of all it delivered in the last time before `cut`: for twice the skew at least.
    ///
    /// - Parameter now: when this is; nothing heard before it comes any more.
    /// - Returns: what the old gateway did not deliver, in the order it was heard here.
    package mutating func join(_ log: [HeardMessage], cut: UInt64, now: UInt64) -> [Message] {
        self.cut = cut
        var logged: [HeardMessage.Key: [UInt64]] = [:]
        for heard in log { logged[heard.key, default: []].append(heard.time) }
        var here: [HeardMessage.Key: [Int]] = [:]
        for (place, heard) in self.record.enumerated() where logged[heard.key] != nil {
            here[heard.key, default: []].append(place)
        }
        var delivered = Set<Int>()
        for (key, all) in logged {
            let places = here[key] ?? []
            if all.count == 1, let place = places.first, places.count == 1 {
                // The same, however late one of us was.
                delivered.insert(place)
                continue
            }
            // What was noted before that may have been sent before it was followed here.
            let times = all.filter { $0 > cut.subtractingWithoutUnderflow(self.skew &* 2) }
            let first = self.alignment(of: times, with: places.map { self.record[$0].time }, now: now)
            let met = places.dropFirst(first).prefix(times.count)
            delivered.formUnion(met)
            if met.count < times.count { self.awaited[key] = times.count &- met.count }
        }
        // Whatever was heard here this long before the cut was heard there before it.
        let horizon = cut.subtractingWithoutUnderflow(self.skew)
        let rest = self.record.enumerated().filter { $1.time > horizon && !delivered.contains($0) }
        self.record = []
        return rest.map(\.element.message)
    }

    /// After the cut: whether a message that is heard now must be delivered.
    package mutating func takes(_ heard: HeardMessage) -> Bool {
        guard let count = self.awaited[heard.key] else { return true }
        guard !self.isOver(at: heard.time) else { return true }
        self.awaited[heard.key] = count > 1 ? count &- 1 : nil
        return false
    }

    /// Nothing that the old gateway delivered can still come: the seam is not needed any more.
    package func isOver(at now: UInt64) -> Bool {
        self.awaited.isEmpty || now > self.cut.addingWithoutOverflow(self.skew &* 2)
    }

    /// Messages of the log that were not heard here. When the seam is over: lost on the way here, or later than the skew.
    package var missing: Int { self.awaited.values.reduce(0, +) }

    /// Which copy here is the first one of the log: the place at which the times differ least.
    private func alignment(of log: [UInt64], with here: [UInt64], now: UInt64) -> Int {
        // More copies than this say nothing more about where they begin.
        let log = log.prefix(256)
        guard let start = log.first else { return here.count }
        var best = (place: here.count, cost: UInt64.max)
        for place in 0...here.count {
            if place < here.count, here[place].distance(from: start) > self.skew { continue }
            var cost: UInt64 = 0
            for (index, time) in log.enumerated() {
                let other = place &+ index < here.count ? here[place &+ index] : max(now, time)
                cost = cost.addingWithoutOverflow(other.distance(from: time))
            }
            if cost < best.cost { best = (place, cost) }
        }
        return best.place
    }
}

extension UInt64 {
    fileprivate func distance(from other: UInt64) -> UInt64 { self > other ? self &- other : other &- self }

    fileprivate func addingWithoutOverflow(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = self.addingReportingOverflow(other)
        return overflow ? .max : sum
    }

    fileprivate func subtractingWithoutUnderflow(_ other: UInt64) -> UInt64 { self > other ? self &- other : 0 }
}
