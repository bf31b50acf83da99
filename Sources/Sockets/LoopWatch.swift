package import NIOCore

/// Something with one time limit at a time. Used on its event loop only.
package protocol Watched: AnyObject {
    /// When `deadlinePassed` is to be called; `.distantFuture` for never. A plain store: cheap enough for every read.
    var deadline: NIODeadline { get }
    /// Its place in the watch; kept by the watch, -1 when it is in none.
    var watchIndex: Int { get set }
    /// The deadline has passed. Called again on each tick until the deadline is moved or the watch is left.
    func deadlinePassed()
}

/// Time limits of one event loop's connections: one tick looks at all of them.
///
/// Arming a limit per request is a store of a number instead of a scheduled task (about a microsecond and an allocation
/// each). The price is a look at every connection per tick, some nanoseconds each, and limits that are kept to within
/// two ticks. No tick runs while nobody is watched.
package final class LoopWatch {
    private let eventLoop: any EventLoop
    private let tick: TimeAmount
    private var watched: ContiguousArray<any Watched> = []
    private var ticking = false
    /// The time of the last tick, or of the first `add` after a rest: at most one tick old.
    package private(set) var now: NIODeadline = .now()

    /// - Parameter tick: the precision wanted.
    package init(eventLoop: any EventLoop, tick: TimeAmount) {
        self.eventLoop = eventLoop
        self.tick = tick
    }

    /// A tick that suits the shortest of `limits`: a quarter of it, between 10 ms and half a second.
    package static func tick(for limits: TimeAmount...) -> TimeAmount {
        let shortest = limits.min() ?? .seconds(2)
        return .nanoseconds(min(max(shortest.nanoseconds / 4, 10_000_000), 500_000_000))
    }

    /// Everybody watched now, in no order.
    package var all: ContiguousArray<any Watched> { self.watched }

    /// The moment `limit` from now, never early: `now` may be a tick old.
    package func deadline(in limit: TimeAmount) -> NIODeadline { self.now + limit + self.tick }

    package func add(_ one: any Watched) {
        guard one.watchIndex < 0 else { return }
        one.watchIndex = self.watched.count
        self.watched.append(one)
        guard !self.ticking else { return }
        self.ticking = true
        self.now = .now()
        self.scheduleTick()
    }

    package func remove(_ one: any Watched) {
        let index = one.watchIndex
        guard index >= 0, index < self.watched.count else { return }
        one.watchIndex = -1
        let last = self.watched.removeLast()
        guard last !== one else { return }
        self.watched[index] = last
        last.watchIndex = index
    }

    private func scheduleTick() {
        self.eventLoop.assumeIsolated().scheduleTask(in: self.tick) { self.look() }
    }

    private func look() {
        self.now = .now()
        // Backwards: whoever leaves is replaced by the last one, which has been looked at.
        var index = self.watched.count - 1
        while index >= 0 {
            if index < self.watched.count, self.watched[index].deadline <= self.now {
                self.watched[index].deadlinePassed()
            }
            index -= 1
        }
        guard !self.watched.isEmpty else {
            self.ticking = false
            return
        }
        self.scheduleTick()
    }
}
