import ChannelLayer
import Glibc
import NIOCore
import Synchronization

/// Stands between the layer and the hub while browsers move from one gateway to another: notes what is delivered, holds
/// what must wait. Closed at all other times, and then it costs two additions per message.
final class HubTap: Sendable {
    typealias Arrival = (message: LayerMessage, group: GroupName)
    typealias Deliver = (LayerMessage, GroupName) -> Void

    private enum Mode: Sendable {
        case closed
        /// The old gateway, before the cut: everything is delivered and noted.
        case noting([HeardMessage])
        /// The old gateway, after the cut: nothing is delivered, in case the takeover fails.
        case holding([Arrival])
        /// The new gateway, before it has browsers.
        case recording(Seam<Arrival>)
        /// The new gateway, while messages may come that the old one has delivered.
        case joined(Seam<Arrival>)
    }

    private let mode = Mutex(Mode.closed)
    private let isOpen = Atomic(false)
    /// Deliveries under way past a closed tap.
    private let passing = Atomic(0)

    var isInUse: Bool { self.isOpen.load(ordering: .relaxed) }

    /// Nothing is delivered now.
    var isHolding: Bool { self.isInUse && self.mode.withLock { if case .holding = $0 { true } else { false } } }

    /// A message has arrived.
    func pass(_ message: LayerMessage, in group: GroupName, deliver: Deliver) {
        self.passing.wrappingAdd(1, ordering: .sequentiallyConsistent)
        guard self.isOpen.load(ordering: .sequentiallyConsistent) else {
            deliver(message, group)
            self.passing.wrappingSubtract(1, ordering: .sequentiallyConsistent)
            return
        }
        self.passing.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        // Delivered inside the lock, so that nothing is on its way when the mode changes.
        self.mode.withLock { Self.pass(message, group, &$0, deliver) }
    }

    private static func pass(_ message: LayerMessage, _ group: GroupName, _ mode: inout Mode, _ deliver: Deliver) {
        let taken = mode
        // What it holds belongs to one owner again, and grows without being copied.
        mode = .closed
        switch taken {
        case .closed:
            deliver(message, group)
        case .noting(var log):
            log.append(Self.heard(message, group))
            deliver(message, group)
            mode = .noting(log)
        case .holding(var held):
            held.append((message, group))
            mode = .holding(held)
        case .recording(var seam):
            seam.record((message, group), Self.heard(message, group))
            mode = .recording(seam)
        case .joined(var seam):
            if seam.takes(Self.heard(message, group)) { deliver(message, group) }
            mode = .joined(seam)
        }
    }

    private static func heard(_ message: LayerMessage, _ group: GroupName) -> HeardMessage {
        HeardMessage(message, in: group, at: NIODeadline.now().uptimeNanoseconds)
    }

    private func change(to mode: Mode) {
        self.mode.withLock { $0 = mode }
        self.isOpen.store(true, ordering: .sequentiallyConsistent)
        // Those that saw it closed are through after this.
        while self.passing.load(ordering: .sequentiallyConsistent) != 0 { sched_yield() }
    }

    // MARK: The old gateway

    func startNoting() { self.change(to: .noting([])) }

    /// The cut: from now on nothing is delivered.
    ///
    /// - Returns: what was noted, and when the cut was.
    func hold() -> (log: [HeardMessage], cut: UInt64) {
        self.mode.withLock { mode in
            defer { mode = .holding([]) }
            guard case .noting(let log) = mode else { return ([], NIODeadline.now().uptimeNanoseconds) }
            return (log, NIODeadline.now().uptimeNanoseconds)
        }
    }

    /// Delivers what was held to those who are here, and closes.
    func release(deliver: Deliver) {
        self.mode.withLock { mode in
            if case .holding(let held) = mode { for arrival in held { deliver(arrival.message, arrival.group) } }
            mode = .closed
            self.isOpen.store(false, ordering: .sequentiallyConsistent)
        }
    }

    // MARK: The new gateway

    func startRecording(skew: UInt64) { self.change(to: .recording(Seam(skew: skew))) }

    /// Delivers what the old gateway did not, and then whatever comes that is not in its log.
    func join(_ log: [HeardMessage], cut: UInt64, deliver: Deliver) {
        self.mode.withLock { mode in
            guard case .recording(var seam) = mode else { return }
            mode = .closed
            let rest = seam.join(log, cut: cut, now: NIODeadline.now().uptimeNanoseconds)
            for arrival in rest { deliver(arrival.message, arrival.group) }
            mode = .joined(seam)
        }
    }

    /// Closes.
    ///
    /// - Returns: how many messages the old gateway has delivered that never came here.
    @discardableResult
    func finish() -> Int {
        self.mode.withLock { mode in
            let missing: Int
            switch mode {
            case .joined(let seam): missing = seam.missing
            case .recording: missing = 0
            // Its browsers are on their way to yet another gateway.
            case .closed, .noting, .holding: return 0
            }
            mode = .closed
            self.isOpen.store(false, ordering: .sequentiallyConsistent)
            return missing
        }
    }
}
