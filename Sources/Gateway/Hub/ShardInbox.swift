import NIOCore
import Synchronization

/// One frame for one list of followers.
struct Delivery: Sendable {
    let list: FollowerList
    /// No bytes for a publication that the list's filter leaves out: its offset is all that there is of it.
    let frame: Frame
    /// Of a publication that stands in a stream; 0 for all else.
    var offset: UInt64 = 0
    /// What a newer one replaces it by while it waits; where slow readers get the newest alone.
    var key: String?
    /// For those of a list that gets patches who have what the patch is for; `nil` when they get the frame, too.
    var patch: ByteBuffer?
    /// The frame is what the next patch will be for.
    var isBase = false
}

/// Where other threads put deliveries for one event loop. The loop is woken by the first one only, so that whatever
/// arrives until it looks is one batch: threads are crossed once per loop turn, not once per message.
final class ShardInbox: Sendable {
    private struct State {
        var deliveries: ContiguousArray<Delivery> = []
        var isAwake = false
    }

    private let state = Mutex(State())
    private let eventLoop: any EventLoop
    /// Called on the loop. Weakly bound, so that a stopped hub can go.
    private let wake: @Sendable () -> Void

    init(eventLoop: any EventLoop, wake: @escaping @Sendable () -> Void) {
        self.eventLoop = eventLoop
        self.wake = wake
    }

    func put(_ delivery: Delivery) {
        let isFirst = self.state.withLock { state in
            state.deliveries.append(delivery)
            defer { state.isAwake = true }
            return !state.isAwake
        }
        if isFirst { self.eventLoop.execute(self.wake) }
    }

    /// Swaps what has arrived with `emptied`, whose room is used again.
    func take(into emptied: inout ContiguousArray<Delivery>) {
        self.state.withLock { state in
            swap(&state.deliveries, &emptied)
            state.isAwake = false
        }
    }
}
