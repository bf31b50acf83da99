/// Tells events that came before from new ones, and a loss from none.
///
/// supervisord puts an event that some listener rejected into other pools as well, and as often as it is rejected; so one
/// serial can arrive many times. And it drops the oldest when a pool's queue is full, which shows only as a step in the
/// pool's own count.
package struct SerialLedger {
    /// More than a pool's queue can hold.
    private static let memory = 8_192

    private var seen: Set<Int> = []
    private var order: [Int] = []
    private var oldest = 0
    private var lastPoolSerial: Int?

    package init() {}

    package enum Verdict: Equatable {
        case new
        /// New, and so many events before it were lost.
        case newAfterLoss(Int)
        case repeated
    }

    package mutating func judge(_ header: EventHeader) -> Verdict {
        guard self.seen.insert(header.serial).inserted else { return .repeated }
        self.remember(header.serial)
        defer { self.lastPoolSerial = max(header.poolSerial, self.lastPoolSerial ?? -1) }
        guard let last = self.lastPoolSerial, header.poolSerial > last + 1 else { return .new }
        return .newAfterLoss(header.poolSerial - last - 1)
    }

    private mutating func remember(_ serial: Int) {
        guard self.order.count == Self.memory else { return self.order.append(serial) }
        self.seen.remove(self.order[self.oldest])
        self.order[self.oldest] = serial
        self.oldest = (self.oldest + 1) % Self.memory
    }
}
