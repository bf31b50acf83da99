import NIOCore

/// Messages that were sent and that the broker has not taken yet, by the numbers that confirms have: 1, 2, 3 … on each
/// AMQP channel.
struct ConfirmWindow<Element> {
    private var slots = CircularBuffer<Element?>()
    /// The number of the first slot.
    private var first: UInt64 = 1
    /// Slots that are taken.
    private(set) var count = 0

    /// Something was sent, under the next number.
    mutating func append(_ element: Element) {
        self.slots.append(element)
        self.count += 1
    }

    /// The broker answers for `number`, or for everything up to it. A number that is unknown, or was answered, counts as
    /// nothing.
    ///
    /// - Returns: what was answered for, in the order it was sent.
    mutating func settle(_ number: UInt64, multiple: Bool) -> [Element] {
        // 0 with `multiple` is everything (AMQP 0-9-1, basic.ack).
        let number = number == 0 && multiple ? self.first &+ UInt64(self.slots.count) &- 1 : number
        guard number >= self.first, number - self.first < UInt64(self.slots.count) else { return [] }
        let offset = Int(number - self.first)
        var settled: [Element] = []
        for place in (multiple ? 0 : offset)...offset {
            let index = self.slots.index(self.slots.startIndex, offsetBy: place)
            if let element = self.slots[index] {
                settled.append(element)
                self.slots[index] = nil
                self.count -= 1
            }
        }
        while case .some(.none) = self.slots.first {
            self.slots.removeFirst()
            self.first += 1
        }
        return settled
    }

    /// The oldest ones as long as `isWanted`, each of which `change` may change in its place.
    mutating func updateOldest(while isWanted: (Element) -> Bool, _ change: (inout Element) -> Void) {
        for index in self.slots.indices {
            guard var element = self.slots[index] else { continue }
            guard isWanted(element) else { return }
            change(&element)
            self.slots[index] = element
        }
    }

    /// Everything without an answer, oldest first; the numbers begin at 1 again.
    mutating func takeAll() -> [Element] {
        defer { self = ConfirmWindow() }
        return self.slots.compactMap { $0 }
    }
}
