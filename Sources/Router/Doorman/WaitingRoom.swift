import NIOCore

/// The connections that have not said enough yet, oldest first.
///
/// Everybody has the same time, so the order of arrival is the order of deadlines and no timers are needed: a doubly
/// linked list whose links are kept in an array indexed by descriptor. Every operation is O(1); a waiting connection
/// costs some 50 bytes here, whatever it does.
struct WaitingRoom {
    /// One place per descriptor number. `next`/`previous` are descriptors, -1 at the ends.
    private struct Place {
        var visitor: Visitor?
        var previous: CInt = -1
        var next: CInt = -1
    }

    private var places: [Place] = []
    private var newest: CInt = -1
    /// How many wait.
    private(set) var count = 0
    /// The descriptor that has waited longest, -1 when nobody waits.
    private(set) var oldest: CInt = -1

    /// When the oldest one's time is over; `nil` when nobody waits.
    var earliestDeadline: NIODeadline? { self.oldest < 0 ? nil : self.places[Int(self.oldest)].visitor?.deadline }

    /// Puts `visitor` at the end of the queue. Its deadline is never before that of those who wait already.
    mutating func enter(_ visitor: Visitor) {
        let descriptor = visitor.descriptor
        guard descriptor >= 0 else { return }
        let index = Int(descriptor)
        if index >= self.places.count {
            self.places.append(contentsOf: repeatElement(Place(), count: max(64, index + 1 - self.places.count)))
        }
        _ = self.leave(descriptor)
        self.places[index] = Place(visitor: visitor, previous: self.newest, next: -1)
        if self.newest >= 0 { self.places[Int(self.newest)].next = descriptor } else { self.oldest = descriptor }
        self.newest = descriptor
        self.count += 1
    }

    /// Takes `descriptor` out of the queue; `nil` when it did not wait here.
    mutating func leave(_ descriptor: CInt) -> Visitor? {
        let index = Int(descriptor)
        guard descriptor >= 0, index < self.places.count, let visitor = self.places[index].visitor else { return nil }
        let (previous, next) = (self.places[index].previous, self.places[index].next)
        self.places[index].visitor = nil
        if previous >= 0 { self.places[Int(previous)].next = next } else { self.oldest = next }
        if next >= 0 { self.places[Int(next)].previous = previous } else { self.newest = previous }
        self.count -= 1
        return visitor
    }
}
