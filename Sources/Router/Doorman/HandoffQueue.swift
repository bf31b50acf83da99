import NIOCore

/// The doorman's way to the gateways. Who comes when none has room waits, unread, in the order they came.
///
/// Many come at once after a deploy, or a gateway has no processor for a while, and each one that is not handed over hangs
/// on this router for its life. Nothing here blocks: `epoll` tells when there is room (`hear`), and `turn` tries again.
///
/// Those who wait are not watched. Who leaves meanwhile is handed over like the others, and the gateway sees it.
struct HandoffQueue: ~Copyable {
    enum Outcome {
        case handedOver, waits
        /// The caller keeps the socket.
        case refused
    }

    /// Until the next attempt when nothing tells of room: a gateway that was started anew does not know of us.
    private static let pause = TimeAmount.milliseconds(50)

    private var sender: HandoffSender
    private let limit: Int
    private let patience: TimeAmount
    private var waiting = WaitingRoom()
    private var nextTry = NIODeadline.distantFuture

    /// - Parameters:
    ///   - limit: how many may wait.
    ///   - patience: how long one may wait.
    init(_ sender: consuming HandoffSender, limit: Int, patience: TimeAmount) {
        self.sender = sender
        self.limit = limit
        self.patience = patience
    }

    /// How many wait.
    var count: Int { self.waiting.count }

    /// When `turn` has something to do; `nil` when nobody waits.
    var nextMoment: NIODeadline? { self.waiting.earliestDeadline.map { min($0, self.nextTry) } }

    /// Hands `visitor` over, or lets it wait; `epoll` must not watch it any more.
    mutating func offer(_ visitor: Visitor) -> Outcome {
        let now = NIODeadline.now()
        // Whoever came before has the first room.
        let outcome = self.count > 0 ? .full : self.sender.pass(visitor.descriptor, at: now)
        switch outcome {
        case .taken: return .handedOver
        case .full where self.count < self.limit:
            self.enter(visitor, at: now)
            return .waits
        case .full, .gone: return .refused
        }
    }

    private mutating func enter(_ visitor: Visitor, at now: NIODeadline) {
        if self.count == 0 {
            self.sender.watchRoom(true)
            self.nextTry = now + Self.pause
        }
        self.waiting.enter(visitor.given(until: now + self.patience))
    }

    /// Takes in what a gateway says, or that it has room.
    ///
    /// - Returns: whether `descriptor` is a line to a gateway.
    mutating func hear(_ descriptor: CInt) -> Bool {
        guard self.sender.hear(descriptor) else { return false }
        self.nextTry = .now()
        return true
    }

    /// Hands over as many as there is room for, when it is time to try.
    ///
    /// - Returns: how many were handed over, and who shall not wait any more: their time is over, or no gateway is left.
    mutating func turn(at now: NIODeadline) -> (handedOver: Int, givenUp: [Visitor]) {
        guard self.count > 0 else { return (0, []) }
        var handedOver = 0
        var givenUp: [Visitor] = []
        if now >= self.nextTry {
            self.nextTry = now + Self.pause
            attempts: while self.count > 0 {
                let oldest = self.waiting.oldest
                switch self.sender.pass(oldest, at: now) {
                case .taken:
                    _ = self.waiting.leave(oldest)
                    handedOver += 1
                case .full: break attempts
                case .gone: givenUp = self.leaveAll()
                }
            }
        }
        while let deadline = self.waiting.earliestDeadline, deadline <= now,
            let visitor = self.waiting.leave(self.waiting.oldest)
        {
            givenUp.append(visitor)
        }
        if self.count == 0 { self.sender.watchRoom(false) }
        return (handedOver, givenUp)
    }

    /// Everybody who waits, the oldest first; nobody does any more.
    mutating func leaveAll() -> [Visitor] {
        var all: [Visitor] = []
        while let visitor = self.waiting.leave(self.waiting.oldest) { all.append(visitor) }
        return all
    }
}
