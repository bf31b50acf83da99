/// First in, first out. Taking costs the same however many wait, and an empty queue holds no memory.
struct MemoryQueue<Element> {
    private var elements: [Element?] = []
    /// How many at the front are gone already.
    private var head = 0

    var count: Int { self.elements.count - self.head }
    var isEmpty: Bool { self.count == 0 }
    var first: Element? { self.isEmpty ? nil : self.elements[self.head] }

    mutating func append(_ element: Element) { self.elements.append(element) }

    mutating func popFirst() -> Element? {
        guard !self.isEmpty else { return nil }
        let element = self.elements[self.head]
        self.elements[self.head] = nil
        self.head += 1
        if self.isEmpty {
            // Keeps the room for the next burst; the whole mailbox goes when it is unused.
            self.elements.removeAll(keepingCapacity: true)
            self.head = 0
        } else if self.head >= 32, self.head * 2 >= self.elements.count {
            self.elements.removeFirst(self.head)
            self.head = 0
        }
        return element
    }

    /// The first element that `isWanted`, taken out of its place.
    mutating func remove(where isWanted: (Element) -> Bool) -> Element? {
        guard
            let index = self.elements.indices.dropFirst(self.head).first(where: {
                self.elements[$0].map(isWanted) == true
            })
        else { return nil }
        return self.elements.remove(at: index)
    }

    /// Everything, in order; nothing is left.
    mutating func takeAll() -> [Element] {
        defer { self = MemoryQueue() }
        return self.elements.compactMap { $0 }
    }
}
