import NIOCore

/// A session that follows a group and still has to be told what was before: what arrives meanwhile is kept for it, with
/// its place in the stream, so that nothing is lost between the two, and nothing comes twice.
///
/// ```
///  holding: all is kept ──release(after: top)──▶ skipping: up to top it knows all ──▶ a follower like others
/// ```
final class Joiner {
    private enum State {
        case holding([(offset: UInt64, bytes: ByteBuffer)])
        case skipping(upTo: UInt64)
    }

    let session: Session
    private var state = State.holding([])
    private var heldBytes = 0
    /// What is kept has a gap, or is too much.
    var isBroken = false

    static let limit = 4_194_304

    init(_ session: Session) { self.session = session }

    /// Up to where it knows all; `nil` while what arrives is kept for it.
    var top: UInt64? { if case .skipping(let top) = self.state { top } else { nil } }

    /// Whether what arrives is to be sent now; else it is kept, or known already.
    func takes(_ bytes: ByteBuffer, _ offset: UInt64) -> Bool {
        switch self.state {
        case .holding(var held):
            self.heldBytes += bytes.readableBytes
            guard self.heldBytes <= Self.limit else {
                self.isBroken = true
                self.state = .holding([])
                return false
            }
            self.state = .holding([])
            held.append((offset, bytes))
            self.state = .holding(held)
            return false
        case .skipping(let top): return offset == 0 || offset > top
        }
    }

    /// What was kept and is after `top`; `nil` when something between them is missing.
    func release(after top: UInt64) -> [ByteBuffer]? {
        guard case .holding(let held) = self.state, !self.isBroken else { return nil }
        self.state = .skipping(upTo: top)
        let first = held.first { $0.offset > top }
        guard first.map({ $0.offset == top &+ 1 }) ?? true else { return nil }
        return held.compactMap { $0.offset == 0 || $0.offset > top ? $0.bytes : nil }
    }

    /// Whether all up to its `top` has arrived: later ones are for it as for others.
    func isReady(at lastOffset: UInt64) -> Bool {
        guard case .skipping(let top) = self.state else { return false }
        return lastOffset >= top
    }
}
